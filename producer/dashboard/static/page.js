// What a page does without asking the server: light or dark, the keys, and which zone it is in.
"use strict";
(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const cookie = (name) =>
    (document.cookie.split("; ").find((each) => each.startsWith(name + "=")) || "").slice(name.length + 1);
  const remember = (name, value) =>
    (document.cookie = `${name}=${value}; path=/; max-age=31536000; samesite=lax`);

  const isDark = () => (cookie("theme") ? cookie("theme") === "dark" : system.matches);
  const paint = () => {
    document.documentElement.dataset.theme = isDark() ? "dark" : "light";
    if (window.Quasar) Quasar.Dark.set(isDark());
    dispatchEvent(new CustomEvent("theme"));
  };
  paint();
  system.addEventListener("change", paint);

  // The server writes times of day: it must know where this browser is. The first page is asked for
  // again, once it does, and until then nothing of it is shown: what is pressed would be lost.
  const zone = encodeURIComponent(Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC");
  if (cookie("zone") !== zone) {
    remember("zone", zone);
    if (cookie("zone") === zone && zone !== "UTC") {
      document.documentElement.hidden = true;
      location.reload();
    }
  }

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-theme-switch]")) {
      remember("theme", isDark() ? "light" : "dark");
      paint();
    }
    if (event.target.closest("[data-keys]")) document.getElementById("keys").showModal();
  });

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submits]")) event.target.form.requestSubmit();
  });

  // A page that nobody sees asks for nothing.
  document.addEventListener("visibilitychange", () => window.did_handshake && emitEvent("seen", !document.hidden));

  const rows = () => [...document.querySelectorAll("[data-row]")];
  const move = (by) => {
    const all = rows();
    const at = all.indexOf(document.activeElement);
    const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + by))];
    if (next) next.focus();
  };
  const does = {
    "/": () => document.querySelector("[data-filter]")?.focus(),
    j: () => move(1),
    k: () => move(-1),
    ArrowDown: () => rows().includes(document.activeElement) && move(1),
    ArrowUp: () => rows().includes(document.activeElement) && move(-1),
    n: () => document.querySelector('nav a[href="/submit"]')?.click(),
    g: () => document.querySelector('nav a[href="/"]')?.click(),
    "?": () => document.getElementById("keys")?.showModal(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (typing) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (document.querySelector("dialog[open]") || !Object.hasOwn(does, event.key)) return;
    if (does[event.key]() !== false) event.preventDefault();
  });
})();

// The form of a new job: what is filled in goes to /v1/jobs as JSON, a file to /v1/files before it.
"use strict";
(() => {
  const at = (id) => document.getElementById(id);
  const cut = (text, how) => {
    const parts = how === "none" ? [text] : text.split(how === "line" ? /\r?\n/ : /\r?\n[ \t]*\r?\n/);
    return parts.map((part) => part.trim()).filter(Boolean);
  };
  const documents = () => cut(at("f-documents").value, at("f-cut").value);
  const count = () => {
    const found = documents().length;
    at("f-count").textContent = found === 1 ? "1 text" : `${found.toLocaleString("en")} texts`;
  };

  // --- errors

  const clear = () => {
    document.querySelectorAll(".field-error").forEach((each) => each.remove());
    document.querySelectorAll("[aria-invalid]").forEach((each) => each.removeAttribute("aria-invalid"));
    at("form-error").textContent = "";
  };
  const wrong = (name, message) => {
    const field = name && document.querySelector(`.field[data-of="${name}"]`);
    if (!field) return void (at("form-error").textContent = message);
    const line = Object.assign(document.createElement("p"), { className: "error small field-error", id: `e-${name}`, textContent: message });
    field.append(line);
    for (let box = field.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
    const input = at(`f-${name}`);
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", line.id);
    input.focus();
  };
  const names = () => [...document.querySelectorAll(".field[data-of]")].map((each) => each.dataset.of);
  // Our messages begin with what is wrong: "num_beams 0: write ...", or the name of a model.
  const named = (message) => {
    for (const name of ["model", "source"]) {
      const value = at(`f-${name}`).value.trim();
      if (value && message.startsWith(value)) return name;
    }
    const start = message.toLowerCase().replaceAll("-", "_");
    const known = names().filter((name) => start.startsWith(name) || start.startsWith(name.replaceAll("_", " ")));
    if (known.length) return known.sort((a, b) => b.length - a.length)[0];
    return start.startsWith("label") ? "labels" : null;
  };
  const sentence = (problem) => {
    return [problem.detail || problem.title || "It did not work", problem.hint].filter(Boolean).join("; ") + ".";
  };
  const refused = (problem) => {
    if (!problem.errors?.length) return wrong(named(problem.detail || ""), sentence(problem));
    for (const each of problem.errors) {
      const name = each.where.split("/").find((part) => names().includes(part));
      wrong(name, `${each.says}.`);
    }
  };

  // --- what is filled in

  class Unreadable extends Error {
    constructor(name, message) {
      super(message);
      this.field = name;
    }
  }
  const kinds = {
    text: (value) => value,
    whole: (value, name) => {
      if (!/^[+-]?\d+$/.test(value)) throw new Unreadable(name, "Write a whole number.");
      return Number(value);
    },
    number: (value, name) => {
      if (value === "" || Number.isNaN(Number(value))) throw new Unreadable(name, "Write a number, as 0.5.");
      return Number(value);
    },
    labels: (value, name) =>
      Object.fromEntries(
        value.split(",").map((pair) => pair.trim()).filter(Boolean).map((pair) => {
          const middle = pair.indexOf("=");
          if (middle < 1) throw new Unreadable(name, "Write labels as key=value, with commas between.");
          return [pair.slice(0, middle).trim(), pair.slice(middle + 1).trim()];
        })
      ),
  };
  const OF_DATASET = ["split", "config", "revision"];
  const filled = (from) => {
    const body = {};
    for (const input of document.querySelectorAll("[data-field]")) {
      const { field, kind } = input.dataset;
      const value = input.value.trim();
      if (!value || (OF_DATASET.includes(field) && from !== "dataset")) continue;
      body[field] = kinds[kind](value, field);
    }
    if (!body.model) throw new Unreadable("model", "Name a model, such as lead-3.");
    return body;
  };

  // --- sending

  // A file is sent once, whatever is done with it.
  const sent = new WeakMap();
  const upload = (file) =>
    sent.get(file) ||
    new Promise((resolve, reject) => {
      const bar = at("f-progress");
      const request = new XMLHttpRequest();
      const form = new FormData();
      form.append("purpose", "user_data");
      form.append("file", file);
      request.upload.onprogress = (event) => (bar.value = event.total ? event.loaded / event.total : 0);
      request.onloadend = () => {
        bar.hidden = true;
        let answer = {};
        try {
          answer = JSON.parse(request.responseText);
        } catch {
          answer = { detail: "the upload broke off", hint: "try again" };
        }
        if (request.status < 300 && answer.id) resolve(answer.id);
        else {
          sent.delete(file);
          reject(new Unreadable("file", answer.error ? answer.error.message : sentence(answer)));
        }
      };
      bar.hidden = false;
      bar.value = 0;
      request.open("POST", "/v1/files");
      request.send(form);
    });
  const given = async (from) => {
    if (from === "paste") {
      const found = documents();
      if (!found.length) throw new Unreadable("documents", "Paste at least one text.");
      return { documents: found };
    }
    if (from === "dataset") {
      const source = at("f-source").value.trim();
      if (!source) throw new Unreadable("source", "Name a dataset, as ORG/NAME.");
      return { source };
    }
    const file = at("f-file").files[0];
    if (!file) throw new Unreadable("file", "Choose a file.");
    sent.set(file, upload(file));
    return { file: await sent.get(file) };
  };
  const send = async (dry) => {
    const from = document.querySelector('input[name="from"]:checked').value;
    const body = filled(from);
    Object.assign(body, await given(from), dry ? { dry_run: true } : {});
    const answer = await fetch("/v1/jobs", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    if (answer.status === 401) return void location.assign("/login?next=/submit");
    const found = await answer.json();
    if (!answer.ok) return refused(found);
    if (dry) emitEvent("dry-run", found.id);
    else {
      sessionStorage.removeItem(KEPT);
      location.assign(`/jobs/${found.id}`);
    }
  };
  const busy = (form, what) => {
    at("form-busy").textContent = what;
    form.querySelectorAll("button").forEach((each) => (each.disabled = Boolean(what)));
  };

  // --- kept in this tab, for a page that is made again: a server that was restarted, a phone that slept

  const KEPT = "new-job";
  const inputs = () => [...document.querySelectorAll(".job-form :is(input:not([type=file]), textarea, select)")];
  const keep = () => {
    const values = inputs().map((each) => (each.type === "radio" ? each.checked : each.value));
    try {
      sessionStorage.setItem(KEPT, JSON.stringify(values));
    } catch {
      sessionStorage.removeItem(KEPT); // larger than a browser keeps
    }
  };
  const restore = () => {
    const found = inputs();
    const values = JSON.parse(sessionStorage.getItem(KEPT) || "[]");
    if (values.length !== found.length) return;
    found.forEach((each, at) => {
      if (each.type === "radio") each.checked = values[at];
      else each.value = values[at];
      if (each.type === "radio" && values[at]) show(each.dataset.shows);
    });
    count();
  };
  const show = (part) =>
    document.querySelectorAll("[data-part]").forEach((each) => (each.hidden = each.dataset.part !== part));
  const made = new MutationObserver(() => {
    if (!document.querySelector(".job-form button")) return;
    made.disconnect();
    restore();
  });
  if (location.pathname === "/submit") made.observe(document.documentElement, { childList: true, subtree: true });

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (form.matches('[action="/logout"]')) sessionStorage.removeItem(KEPT);
    if (!form.matches("[data-job-form]")) return;
    event.preventDefault();
    clear();
    busy(form, "Sending…");
    try {
      await send(event.submitter?.value === "dry");
    } catch (error) {
      if (error instanceof Unreadable) wrong(error.field, error.message);
      else wrong(null, "The mill does not answer. Is it running?");
    } finally {
      busy(form, "");
    }
  });
  document.addEventListener("change", (event) => {
    if (event.target.dataset?.shows) show(event.target.dataset.shows);
    if (event.target.closest?.(".job-form")) keep();
  });
  document.addEventListener("input", (event) => {
    if (["f-documents", "f-cut"].includes(event.target.id)) count();
    if (event.target.closest?.(".job-form")) keep();
  });
})();

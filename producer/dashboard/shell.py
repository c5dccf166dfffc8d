"""What all pages have in common: head, navigation, keys, and the way out.

The style sheet (`static/page.css`) names the parts: `card`, `row`, `stack`, `muted`, `chip good`,
`button`, `button main`, `numbers` for figures that stand below each other. Colours are variables
(`--text`, `--muted`, `--line`, `--accent`, `--good`, `--warn`, `--bad`), light or dark as
`html[data-theme]` says. `static/page.js` does what needs no server: the theme and the keys.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from nicegui import ui
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from producer.dashboard.elements import El
from producer.dashboard.visitors import Door, Visitor

# How often a page that is open asks whether its visitor may still see it, in seconds.
_ASK_AGAIN = 5.0

_KEYS = (
    ("/", "find a job"),
    ("j  k", "next or previous job"),
    ("Enter", "open the job"),
    ("n", "new job"),
    ("g", "back to the jobs"),
    ("?", "these keys"),
)


@contextmanager
def frame(door: Door, request: Request, visitor: Visitor, title: str) -> Iterator[None]:
    """A page of that title; what is made inside stands in its middle."""
    ui.page_title(f"{title} · gistmill")
    ui.dark_mode({"light": False, "dark": True}.get(visitor.theme or ""))
    El("a", "Skip to the content", "skip", href="#main")
    _header(request.url.path, visitor)
    # Quasar's own page around it is the element `main`.
    with El("div", id="main", tabindex="-1"):
        yield
    _keys()
    ui.timer(_ASK_AGAIN, lambda: _ask_again(door, request, visitor), immediate=False)


def _header(path: str, visitor: Visitor) -> None:
    with El("header", classes="bar"):
        El("a", "gistmill", "brand", href="/")
        with El("nav", aria_label="Pages"):
            _link("Jobs", "/", path)
            if visitor.may_submit:
                _link("New job", "/submit", path)
        El("span", classes="spring")
        El("button", "?", "button quiet keys-hint", data_keys="", aria_label="Keys", type="button")
        El(
            "button", "◐", "button quiet", data_theme_switch="", type="button",
            aria_label="Light or dark", title="Light or dark",
        )  # fmt: skip
        if visitor.caller.token is not None:
            with El("form", method="post", action="/logout"):
                El("button", "Log out", "button quiet")


def _link(text: str, href: str, path: str) -> None:
    El("a", text, href=href, aria_current="page" if href == path else None)


def _keys() -> None:
    with El("dialog", id="keys", aria_label="Keys"):
        El("h2", "Keys")
        with El("dl", classes="keys"):
            for key, what in _KEYS:
                with El("dt"):
                    for one in key.split():
                        El("kbd", one)
                El("dd", what)
        with El("form", method="dialog"):
            El("button", "Close", "button")


async def _ask_again(door: Door, request: Request, visitor: Visitor) -> None:
    """Of a page whose visitor's token was revoked nothing is left, whatever its browser does."""
    if await run_in_threadpool(door.still, visitor, request):
        return
    with suppress(TimeoutError):
        await ui.run_javascript("location.assign('/login'); true")
    ui.context.client.delete()

"""What sections of a page have in common: made anew where what they show has changed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Generic, TypeVar
from zoneinfo import ZoneInfo

from nicegui import ui

from producer.dashboard import verdict
from producer.dashboard.elements import El

T = TypeVar("T")


class Part(Generic[T]):
    """A place in the page that `make` fills. It is left alone while it shows the same."""

    def __init__(self, make: Callable[[T], None], classes: str = "stack") -> None:
        self._make = make
        self._place = El("div", classes=classes)
        self._shown: T | None = None

    def show(self, what: T) -> None:
        if what == self._shown:
            return
        self._shown = what
        self._place.clear()
        with self._place:
            self._make(what)


@contextmanager
def card(title: str, note: str = "") -> Iterator[None]:
    """A section with a heading, and a few quiet words beside it."""
    with El("section", classes="card stack", aria_label=title):
        with El("div", classes="row"):
            El("h2", title)
            if note:
                El("span", note, "muted small")
        yield


def picture(html: str) -> None:
    """What `charts` made."""
    ui.html(html, sanitize=False)


def facts(pairs: list[tuple[str, str]]) -> None:
    """Names and values, side by side."""
    with El("dl", classes="known"):
        for name, value in pairs:
            El("dt", name)
            El("dd", value)


def when(seconds: float, zone: ZoneInfo) -> str:
    """Unix seconds as the visitor's clock has them."""
    return verdict.day_and_time(seconds, datetime.now(zone))


def counted(number: int, noun: str) -> str:
    """1 document, 2,000 documents."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"

"""A real headless Chromium, that may go nowhere but to this machine.

Whatever a page asks of another place, writes to the console as an error, or throws, fails the
test. Without Chromium these tests are skipped, but where CI=true they fail.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request
from playwright.sync_api import sync_playwright as playwright

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]

PHONE = (390, 844)
DESK = (1280, 900)

# As on another machine than this one: what is shown must not depend on where tests run.
ZONE = "Europe/Berlin"


def program() -> str | None:
    """Of Chromium."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = program()
    if path is None:
        how = "there is no Chromium here: apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(how)
        pytest.skip(how)
    with playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


class Watched:
    """A browser's context, and what its pages did that they should not."""

    def __init__(self, context: BrowserContext) -> None:
        self.wrong: list[str] = []
        context.on("console", self._console)
        context.on("request", self._request)
        context.on("weberror", lambda error: self.wrong.append(f"thrown: {error.error}"))
        self.context = context

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.wrong.append(f"{message.type}: {message.text} ({message.location['url']})")

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in {"data", "blob"} and parts.hostname != "127.0.0.1":
            self.wrong.append(f"asked outside: {request.url}")


@pytest.fixture
def watched(chromium: Browser) -> Iterator[Watched]:
    """A fresh profile. At the end nothing may have gone wrong in it."""
    width, height = DESK
    context = chromium.new_context(
        viewport={"width": width, "height": height}, timezone_id=ZONE, locale="en-GB"
    )
    found = Watched(context)
    yield found
    context.close()
    if found.wrong:
        pytest.fail("\n".join(found.wrong))


@pytest.fixture
def tab(watched: Watched) -> Page:
    """A page of that profile."""
    return watched.context.new_page()


def shot(page: Page, name: str) -> None:
    """Keep a screenshot, where GISTMILL_SHOTS names a folder for them."""
    if folder := os.environ.get("GISTMILL_SHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def no_wider_than_the_screen(page: Page) -> bool:
    """Whether there is nothing to scroll to at the side."""
    wide: bool = page.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )
    return wide

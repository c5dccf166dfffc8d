"""The page, in a real Chromium."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser import shot
from tests.mill import Mill
from tests.serving import Served, serving


@pytest.fixture(scope="module")
def served(running: Mill) -> Iterator[Served]:
    with serving(running) as found:
        yield found


def test_a_mill_without_jobs_says_what_to_do(served: Served, tab: Page) -> None:
    tab.goto(served.url)
    expect(tab.get_by_role("heading", name="Jobs")).to_be_visible()
    shot(tab, "empty")

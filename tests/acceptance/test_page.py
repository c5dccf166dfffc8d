"""The page, as a person uses it, in a real Chromium."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser import PHONE, Watched, no_wider_than_the_screen, shot
from tests.mill import PATIENCE, Mill, sentences, wait, write_jsonl
from tests.serving import Served, serving

HOSTILE = '<script>document.title = "got in"</script> <img src=x onerror=alert(1)> **not bold**'

expect.set_options(timeout=PATIENCE * 1000 / 3)


@pytest.fixture(scope="module")
def served(running: Mill) -> Iterator[Served]:
    with serving(running) as found:
        yield found


def row(tab: Page, name: str) -> Locator:
    """Of the list, the job of that name."""
    return tab.get_by_role("listitem").filter(has=tab.get_by_role("link", name=name, exact=True))


def shut() -> str:
    """A run window that is not open now."""
    opens = datetime.now(UTC) + timedelta(hours=8)
    return f"{opens:%H:%M}-{opens + timedelta(hours=1):%H:%M} UTC"


def test_a_mill_without_jobs_says_what_to_do(served: Served, tab: Page) -> None:
    tab.goto(served.url)
    expect(tab.get_by_role("heading", name="No jobs yet")).to_be_visible()
    shot(tab, "empty")
    tab.get_by_role("link", name="Make the first job").click()
    expect(tab.get_by_role("heading", name="New job")).to_be_visible()


def test_a_dry_run_a_job_and_its_end(served: Served, tab: Page) -> None:
    tab.goto(served.url + "/submit")
    tab.get_by_label("Texts").fill("\n\n".join(sentences(7)))
    expect(tab.get_by_text("7 texts")).to_be_visible()
    tab.get_by_label("Name", exact=True).fill("From the form")
    tab.get_by_label("Labels").fill("team=news, lang=en")
    tab.get_by_role("button", name="Dry run").click()
    expect(tab.get_by_text("7 documents for lead-3")).to_be_visible()
    shot(tab, "form-dry-run")
    tab.get_by_role("button", name="Submit").click()
    tab.wait_for_url(re.compile(r"/jobs/job_\w+$"))
    tab.goto(served.url + "/?label=team%3Dnews")
    done = row(tab, "From the form").filter(has_text="7 summaries")
    expect(done).to_contain_text(re.compile(r"Done \d\d:\d\d, 7 summaries"))


def test_what_is_filled_in_outlives_a_reload(served: Served, tab: Page) -> None:
    tab.goto(served.url + "/submit")
    tab.get_by_role("radio", name="Dataset").check()
    tab.get_by_placeholder("EdinburghNLP/xsum").fill("org/half-typed")
    tab.reload()
    expect(tab.get_by_placeholder("EdinburghNLP/xsum")).to_have_value("org/half-typed")
    expect(tab.get_by_placeholder("EdinburghNLP/xsum")).to_be_visible()


def test_a_file_is_uploaded(served: Served, tab: Page, tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "notes.jsonl", [{"text": text} for text in sentences(5)])
    tab.goto(served.url + "/submit")
    tab.get_by_role("radio", name="Upload").check()
    tab.get_by_label("File", exact=True).set_input_files(file)
    tab.get_by_role("button", name="Dry run").click()
    expect(tab.get_by_text("5 documents for lead-3")).to_be_visible()
    tab.get_by_label("Name", exact=True).fill("From a file")
    tab.get_by_role("button", name="Submit").click()
    tab.wait_for_url(re.compile(r"/jobs/job_\w+$"))
    tab.goto(served.url)
    expect(row(tab, "From a file")).to_contain_text("5 summaries")


def test_what_is_wrong_is_said_at_its_field(served: Served, tab: Page, watched: Watched) -> None:
    tab.goto(served.url + "/submit")
    tab.get_by_role("button", name="Submit").click()
    expect(tab.locator('[data-of="documents"]')).to_contain_text("Paste at least one text.")
    tab.get_by_label("Texts").fill("A text.")
    tab.get_by_label("Model", exact=True).fill("no such model")
    tab.get_by_text("When it runs").click()
    tab.get_by_label("Priority").fill("soon")
    tab.get_by_role("button", name="Submit").click()
    expect(tab.locator('[data-of="priority"]')).to_contain_text("Write a whole number.")
    tab.get_by_label("Priority").fill("")
    tab.get_by_role("button", name="Submit").click()
    expect(tab.locator('[data-of="model"]')).to_contain_text("no such model")
    shot(tab, "form-error")
    # The browser itself writes of each answer that is an error.
    watched.wrong = [each for each in watched.wrong if "status of 400" not in each]


def test_texts_are_text(served: Served, tab: Page) -> None:
    with served.mill.client() as client:
        job = client.submit([HOSTILE], model="lead-3", name=HOSTILE, labels={"a": HOSTILE})
        wait(job)
    tab.goto(served.url)
    expect(row(tab, HOSTILE)).to_contain_text(f"a={HOSTILE}")
    tab.goto(f"{served.url}/jobs/{job.id}")
    expect(tab.locator("#main h1")).to_be_visible()
    assert tab.locator("#main img[src='x'], #main script").count() == 0
    assert tab.locator("#main strong").get_by_text("not bold", exact=True).count() == 0
    assert "got in" not in tab.title()


def test_a_job_is_paused_resumed_and_cancelled(served: Served, tab: Page) -> None:
    with served.mill.client() as client:
        client.submit(sentences(3), model="lead-3", name="Later", window=shut())
    tab.goto(served.url)
    later = row(tab, "Later")
    later.get_by_role("button", name="Pause").click()
    expect(later).to_contain_text("Paused, 0 of 3 done")
    later.get_by_role("button", name="Resume").click()
    expect(later.get_by_role("button", name="Pause")).to_be_visible()
    tab.once("dialog", lambda dialog: dialog.accept())
    later.get_by_role("button", name="Cancel").click()
    expect(later).to_contain_text("Cancelled")
    expect(later.get_by_role("button")).to_have_count(0)


def test_a_hundred_jobs_and_the_rest(served: Served, tab: Page) -> None:
    closed = shut()
    with served.mill.client() as client:
        for number in range(101):
            client.submit(["A text."], model="lead-3", name=f"Of many {number}", window=closed)
    tab.goto(served.url)
    expect(tab.get_by_role("listitem")).to_have_count(100)
    shot(tab, "hundred")
    tab.get_by_role("link", name="Older").click()
    expect(row(tab, "Of many 0")).to_be_visible()
    expect(row(tab, "Of many 1")).to_have_count(0)
    tab.keyboard.press("/")
    tab.keyboard.type("MANY 77")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("listitem")).to_have_count(1)
    tab.get_by_label("Status").select_option("Cancelled")
    expect(tab.get_by_role("heading", name="No job fits")).to_be_visible()


def test_keys(served: Served, tab: Page) -> None:
    with served.mill.client() as client:
        ids = [client.submit(["A text."], model="lead-3").id for _ in range(2)]
    tab.goto(served.url)
    expect(row(tab, ids[0])).to_be_visible()
    tab.keyboard.press("?")
    expect(tab.get_by_role("dialog")).to_be_visible()
    tab.keyboard.press("Escape")
    expect(tab.get_by_role("dialog")).to_be_hidden()
    for key in ("j", "j", "Enter"):
        tab.keyboard.press(key)
    tab.wait_for_url(f"{served.url}/jobs/{ids[0]}")


def test_light_and_dark_are_remembered(served: Served, tab: Page) -> None:
    tab.emulate_media(color_scheme="dark")
    tab.goto(served.url)
    html = tab.locator("html")
    expect(html).to_have_attribute("data-theme", "dark")
    tab.get_by_role("button", name="Light or dark").click()
    expect(html).to_have_attribute("data-theme", "light")
    tab.reload()
    expect(html).to_have_attribute("data-theme", "light")
    expect(tab.locator("body")).to_have_class(re.compile("body--light"))


@pytest.mark.parametrize("path", ["/", "/submit"])
def test_a_phone_scrolls_in_one_direction(served: Served, chromium: Browser, path: str) -> None:
    width, height = PHONE
    context = chromium.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark", has_touch=True
    )
    watched = Watched(context)
    tab = context.new_page()
    tab.goto(served.url + path)
    expect(tab.locator("#main h1")).to_be_visible()
    for each in tab.locator("details").all():
        each.locator("summary").click()
    assert no_wider_than_the_screen(tab)
    shot(tab, f"phone{path.replace('/', '-')}")
    context.close()
    assert watched.wrong == []

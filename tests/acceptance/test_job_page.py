"""The page of one job, in a real Chromium: watched to its end, retried, read."""

import csv
import json
import os
import re
import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import text

from producer.job import Job
from tests.browser import PHONE, Watched, no_wider_than_the_screen, shot
from tests.mill import PATIENCE, Mill, wait, write_jsonl
from tests.serving import Served, serving

EVIL = '<script>window.hurt = 1</script><img src=x onerror="window.hurt = 1"> **bold**'

expect.set_options(timeout=PATIENCE * 1000)


@pytest.fixture(scope="module")
def served(running: Mill) -> Iterator[Served]:
    with serving(running) as found:
        yield found


def rows(count: int) -> list[dict[str, Any]]:
    return [
        {
            "id": f"doc{n}",
            "text": f"Mill {n} grinds. Its miller {n} sleeps. {EVIL}. At dawn there is flour {n}.",
            "human": f"Mill {n} grinds flour at dawn.",
        }
        for n in range(count)
    ]


def submitted(served: Served, documents: Any, **more: Any) -> Job:
    options = {"model": "lead-2", "id_column": "id", "reference_column": "human", **more}
    with served.mill.client() as client:
        return client.submit(documents, **options)


def ended(served: Served, job: Job) -> str:
    with served.mill.client() as client:
        return wait(client.job(job.id))


def card(tab: Page, name: str) -> Locator:
    return tab.get_by_role("region", name=name, exact=True)


@contextmanager
def nobody_works(mill: Mill) -> Iterator[None]:
    worker = mill.started("worker")
    os.killpg(worker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(worker.pid, signal.SIGCONT)


def test_a_job_is_watched_to_its_end(served: Served, tab: Page) -> None:
    with nobody_works(served.mill):
        job = submitted(served, rows(40), name=f"Night {EVIL}")
        tab.goto(f"{served.url}/jobs/{job.id}")
        expect(tab.locator("h1")).to_have_text(f"Night {EVIL}")
        expect(tab.locator(".verdict")).not_to_contain_text("Done")
        expect(tab.get_by_role("button", name="Cancel")).to_be_visible()
        shot(tab, "waiting")
    expect(tab.locator(".verdict")).to_contain_text("Done")
    expect(tab.locator(".verdict")).to_contain_text("40 summaries")
    expect(tab.get_by_role("button", name="Cancel")).to_be_hidden()
    expect(card(tab, "Samples").get_by_role("article")).to_have_count(3)
    expect(card(tab, "Quality").get_by_role("rowheader", name="ROUGE-Lsum")).to_be_visible()
    assert tab.evaluate("window.hurt") is None
    shot(tab, "done")


def test_a_group_of_failures_is_retried(served: Served, tab: Page) -> None:
    """What was wrong with them is mended meanwhile."""
    documents = [*rows(10), *({"id": f"bad{n}", "text": 3} for n in range(4))]
    job = submitted(served, [*documents, {"id": "empty", "text": " "}])
    assert ended(served, job) == "completed"
    tab.goto(f"{served.url}/jobs/{job.id}")
    failures = card(tab, "Failures")
    expect(failures).to_contain_text("text_not_string")
    expect(failures).to_contain_text("document 10 [bad0]")
    shot(tab, "failures")

    mended = "UPDATE documents SET text = 'Now it is a text.', error = NULL WHERE id LIKE 'bad%'"
    with served.mill.client() as client, client.database.transaction() as tx:
        tx.execute(text(mended))
    failures.get_by_role("button", name="Retry 4 documents failed with text_not_string").click()
    expect(tab.locator(".verdict")).to_contain_text("14 summaries, 1 failed")
    expect(failures).not_to_contain_text("text_not_string")
    expect(failures).to_contain_text("empty_document")


def test_samples_stand_side_by_side(served: Served, tab: Page) -> None:
    job = submitted(served, rows(30))
    ended(served, job)
    tab.goto(f"{served.url}/jobs/{job.id}")
    samples = card(tab, "Samples")
    first = samples.get_by_role("article").first
    expect(first.get_by_role("region", name="Document")).to_contain_text("At dawn there is flour")
    expect(first.get_by_role("region", name="Document")).to_contain_text(EVIL)
    expect(first.get_by_role("region", name="Summary")).to_contain_text("sleeps.")
    expect(first.get_by_role("region", name="Reference")).to_contain_text("grinds flour")
    names = samples.locator("article strong")
    before = names.all_inner_texts()
    tab.reload()
    expect(names).to_have_text(before)
    samples.get_by_role("button", name="Other ones").click()
    expect(names).not_to_have_text(before)
    samples.get_by_role("button", name="Lowest ROUGE").click()
    expect(samples.get_by_role("button", name="Lowest ROUGE")).to_have_attribute(
        "aria-pressed", "true"
    )
    expect(first).to_contain_text("ROUGE-L")


def test_a_source_that_is_gone_leaves_the_summaries(
    served: Served, tab: Page, tmp_path: Path
) -> None:
    source = write_jsonl(tmp_path / "in.jsonl", rows(5))
    job = submitted(served, source)
    ended(served, job)
    source.unlink()
    tab.goto(f"{served.url}/jobs/{job.id}")
    samples = card(tab, "Samples")
    expect(samples.get_by_role("region", name="Summary").first).to_be_visible()
    expect(samples.get_by_role("region", name="Document")).to_have_count(0)
    expect(samples.get_by_role("alert")).to_contain_text("in.jsonl")


def test_the_line_that_makes_it_again(served: Served, watched: Watched, tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "a file.jsonl", rows(5))
    job = submitted(served, source, labels={"user": "O'Neil"})
    ended(served, job)
    watched.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab = watched.context.new_page()
    tab.goto(f"{served.url}/jobs/{job.id}")
    recipe = card(tab, "Reproduction")
    recipe.get_by_role("button", name="Copy").click()
    expect(recipe.get_by_role("button", name="Copied")).to_be_visible()
    program, *words = shlex.split(tab.evaluate("navigator.clipboard.readText()"))
    assert program == "gistmill"
    said = served.mill.say(*words, "-q")
    again = said.stdout.strip()
    with served.mill.client() as client:
        first, second = client.job(job.id).status(), client.job(again).status()
    # What was guessed is named.
    assert second.source == {**first.source, "guessed": []}
    assert second.labels == {"user": "O'Neil"}


def downloaded(tab: Page, words: str) -> Path:
    """What the link of the menu brings, under the name that it is kept by."""
    menu = tab.locator("details.menu")
    if menu.get_attribute("open") is None:
        menu.locator("summary").click()
    with tab.expect_download() as found:
        menu.get_by_role("link", name=words, exact=True).click()
    kept = found.value.path().with_name(found.value.suggested_filename)
    found.value.save_as(kept)
    return kept


def test_what_came_of_it_is_downloaded(served: Served, tab: Page) -> None:
    job = submitted(served, rows(5))
    ended(served, job)
    tab.goto(f"{served.url}/jobs/{job.id}")
    lines = downloaded(tab, "JSON lines")
    assert lines.name == f"{job.id}.jsonl"
    assert [json.loads(each)["id"] for each in lines.read_text().splitlines()] == [
        f"doc{n}" for n in range(5)
    ]
    sheet = downloaded(tab, "CSV")
    assert sheet.name == f"{job.id}.csv"
    with sheet.open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 5
    table = downloaded(tab, "Parquet")
    assert table.name == f"{job.id}.parquet"
    assert pq.read_table(table).num_rows == 5
    joined = downloaded(tab, "Parquet, with the source")
    assert joined.name == f"{job.id}-joined.parquet"
    assert {"id", "text", "reference", "summary"} <= set(pq.read_table(joined).column_names)


def test_a_retry_made_elsewhere_is_seen(served: Served, tab: Page) -> None:
    """The page looks again, seldom, at a job that is over."""
    job = submitted(served, [*rows(3), {"id": "bad", "text": 3}])
    ended(served, job)
    tab.goto(f"{served.url}/jobs/{job.id}")
    expect(tab.locator(".verdict")).to_contain_text("3 summaries, 1 failed")
    mended = "UPDATE documents SET text = 'Now it is.', error = NULL WHERE job_id = :job"
    with served.mill.client() as client:
        with client.database.transaction() as tx:
            tx.execute(text(f"{mended} AND id = 'bad'"), {"job": job.id})
        client.job(job.id).retry()
    expect(tab.locator(".verdict")).to_contain_text("4 summaries")
    expect(card(tab, "Failures")).to_have_count(0)


def test_a_dry_run_shows_what_it_found(served: Served, tab: Page) -> None:
    job = submitted(served, rows(12), dry_run=True)
    ended(served, job)
    tab.goto(f"{served.url}/jobs/{job.id}")
    expect(card(tab, "Dry run")).to_contain_text("12 documents for lead-2")
    expect(card(tab, "Dry run")).to_contain_text("long_documents")
    expect(card(tab, "Samples")).to_be_hidden()
    expect(tab.get_by_role("button", name=re.compile("Retry"))).to_be_hidden()
    shot(tab, "dry-run")


def test_cancelling_asks_first(served: Served, tab: Page) -> None:
    with nobody_works(served.mill):
        job = submitted(served, rows(30))
        tab.goto(f"{served.url}/jobs/{job.id}")
        tab.get_by_role("button", name="Cancel").click()
        shot(tab, "asked")
        tab.get_by_role("button", name="Let it go on").click()
        expect(tab.get_by_role("dialog")).to_have_count(0)
        tab.get_by_role("button", name="Cancel").click()
        tab.get_by_role("button", name="Cancel the job").click()
        expect(tab.locator(".verdict")).to_contain_text("ancelled")
    expect(tab.locator(".verdict")).to_contain_text("Cancelled")
    expect(tab.get_by_role("button", name="Retry all: 30 unfinished")).to_be_visible()


def test_a_phone_scrolls_one_way(served: Served, watched: Watched) -> None:
    source = [*rows(30), {"id": "x" * 300, "text": 3}]
    job = submitted(served, source, name="A" * 200)
    ended(served, job)
    tab = watched.context.new_page()
    tab.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme=scheme)
        tab.goto(f"{served.url}/jobs/{job.id}")
        expect(
            card(tab, "Quality").get_by_role("rowheader", name="ROUGE-L", exact=True)
        ).to_be_visible()
        expect(card(tab, "Samples").get_by_role("article")).to_have_count(3)
        assert no_wider_than_the_screen(tab)
        shot(tab, f"phone-{scheme}")


def test_who_sees_no_such_job_is_told_so(served: Served, tab: Page) -> None:
    tab.goto(f"{served.url}/jobs/job_nonesuch")
    expect(tab.get_by_role("alert")).to_contain_text("no job")

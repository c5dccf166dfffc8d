"""How long a job will take: said before it begins, and shown beside what it took."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from producer.job import Job
from tests.mill import Mill, sentences, wait
from tests.models import tiny_bart


def _dry_run(mill: Mill, *words: str, texts: int = 100) -> str:
    lines = "\n".join(sentences(texts))
    command = ("submit", "-", "--lines", "--dry-run", *words)
    return mill.say(*command, stdin=lines).stdout


def _forecast(mill: Mill, *words: str, texts: int = 100) -> dict[str, Any]:
    said = _dry_run(mill, *words, "--json", texts=texts)
    found: dict[str, Any] = json.loads(said)["forecast"]
    return found


def _done(mill: Mill, texts: list[str], **asked: Any) -> Job:
    with mill.client() as client:
        job = client.submit(texts, **asked)
        assert wait(job) == "completed"
        return job


def test_a_model_that_has_done_nothing_here(running: Mill) -> None:
    said = _dry_run(running, "--model", "lead-9")
    assert "no forecast: this model has done nothing here yet" in said
    assert json.loads(_dry_run(running, "--model", "lead-9", "--json"))["forecast"] is None


def test_forecast_beside_actual(running: Mill) -> None:
    _done(running, sentences(80), model="lead-3")
    found = _forecast(running, "--model", "lead-3")
    assert (found["documents"], found["workers"], found["same_parameters"]) == (80, 1, True)
    assert 0 < found["device_hours"]["low"] < found["device_hours"]["high"] < 0.1
    assert found["device_hours"]["high"] * 3600 < found["seconds"]["high"]
    assert found["actual"] is None, "a dry run takes nothing"
    said = _dry_run(running, "--model", "lead-3")
    assert "s on 1 worker (" in said
    assert "device-hours), from 80 documents of this model here\n" in said

    submitted = ("submit", "-", "--lines", "--model", "lead-3", "--wait", "--json")
    lines = "\n".join(sentences(100))
    begun = json.loads(running.say(*submitted, stdin=lines).stdout)
    shown = running.say("status", begun["id"])
    assert "  forecast 0 to " in shown.stdout
    assert " device-hours, took 0" in shown.stdout
    assert "  forecast 0 to " in running.say("watch", begun["id"]).stderr
    ended = json.loads(running.say("status", begun["id"], "--json").stdout)
    actual = ended["forecast"]["actual"]
    assert actual["seconds"] > 0
    batching = ended["batching"]
    busy = batching["generating_seconds"] + batching["waiting_seconds"]
    assert abs(actual["device_hours"] * 3600 - busy) < 1e-3


def test_other_parameters_are_said(running: Mill) -> None:
    _done(running, sentences(20), model="lead-4", max_input_tokens=5)
    asked = ("--model", "lead-4")
    assert ", made with other parameters" in _dry_run(running, *asked)
    wide = _forecast(running, *asked)["device_hours"]
    assert wide["high"] >= 4 * wide["low"] * 0.99
    like = _forecast(running, *asked, "--max-input-tokens", "5", "--seed", "7")
    assert like["same_parameters"], "a seed makes nothing slower"


def test_a_job_of_one_document_has_one_too(running: Mill) -> None:
    _done(running, sentences(20), model="lead-5")
    assert _forecast(running, "--model", "lead-5")
    job = _done(running, ["One. Two."], model="lead-5")
    with running.client() as client:
        said = client.job(job.id).status().forecast
    assert said is not None
    assert said.documents == 20
    assert said.actual is not None


def test_of_a_few_long_documents_the_lengths_count(running: Mill, tmp_path: Path) -> None:
    """A job of few documents is looked into where one may be many parts."""
    model = str(tiny_bart(tmp_path / "bart"))
    _done(running, sentences(20), model=model)
    books = [" ".join(sentences(400)), "Another book. " * 400]
    job = _done(running, books, model=model, long_documents="map-reduce")
    with running.client() as client:
        said = client.job(job.id).status().forecast
    assert said is not None
    assert not said.same_parameters
    # From half to double what 20 short ones took says nothing of books.
    assert said.device_hours.high > 20 * said.device_hours.low


def test_the_hours_of_a_window_are_counted_in(running: Mill) -> None:
    _done(running, sentences(20), model="lead-6")
    opens = datetime.now(UTC) + timedelta(hours=2)
    window = f"{opens:%H}:00-{opens:%H}:30 UTC"
    found = _forecast(running, "--model", "lead-6", "--window", window)
    assert 3600 - 60 < found["seconds"]["low"] < found["seconds"]["high"] < 2 * 3600 + 60


def test_what_is_there_already_takes_no_time(running: Mill) -> None:
    _done(running, sentences(80), model="lead-7")
    assert _forecast(running, "--model", "lead-7", texts=80)["device_hours"]["high"] == 0
    assert _forecast(running, "--model", "lead-7", "--no-reuse")["device_hours"]["low"] > 0
    half = _forecast(running, "--model", "lead-7", texts=160)["device_hours"]
    whole = _forecast(running, "--model", "lead-7", "--no-reuse", texts=160)["device_hours"]
    assert 1.5 < whole["low"] / half["low"] < 3, "about half of the sample is there"

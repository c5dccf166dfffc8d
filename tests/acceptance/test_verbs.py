"""What users ask of a job that is there, through the front door, on real processes.

Most tests share one running mill; a test that needs nobody at work, or somebody to
come late, has one of its own.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.database import Database
from producer.client import Client
from producer.job import Job
from tests.mill import Mill, eventually, sentences, wait
from tests.models import tiny_bart

GOOD = '{"text": "One. Two."}\n'
LONG = 10_000
"""Documents that take lead-1 some seconds."""


@pytest.fixture
def client(running: Mill) -> Iterator[Client]:
    with running.client() as opened:
        yield opened


@pytest.fixture
def long(client: Client) -> Job:
    """A job that takes some seconds, in progress, its first batch stored."""
    job = client.submit(sentences(LONG), model="lead-1", shard_size=16)
    eventually(lambda: job.status().counts.completed, "the first batch")
    return job


def test_pause_and_resume(running: Mill, client: Client, long: Job) -> None:
    long.pause()
    eventually(lambda: _busy(client.database, long) == 0, "nobody works on it")
    done = long.status().counts.completed
    assert 0 < done < LONG
    assert f"gistmill resume {long.id}" in running.say("status", long.id).stdout
    assert "in progress can be paused" in running.say("pause", long.id, expect=4).stderr
    assert "in_progress" in running.say("resume", long.id).stdout
    assert wait(long) == "completed"
    assert [row["index"] for row in long.results()] == list(range(LONG))


def test_cancel_keeps_what_is_done_and_retry_does_the_rest(running: Mill, long: Job) -> None:
    long.cancel()
    assert wait(long) == "cancelled"
    counts = long.status().counts
    assert 0 < counts.completed < LONG
    assert counts.completed == len(list(long.results()))
    assert "is cancelled" in running.say("cancel", long.id, expect=4).stderr
    running.say("wait", long.id, expect=1)
    retried = running.say("retry", long.id).stdout
    assert f"(0 failed, {LONG - counts.completed:,} cut off)" in retried
    assert wait(long) == "completed"
    assert [row["index"] for row in long.results()] == list(range(LONG))


def test_verbs_on_a_job_that_nobody_began(mill: Mill) -> None:
    """Every verb, from the command line, one after the other."""
    job_id = _submit(mill, GOOD)
    assert "in progress can be paused" in mill.say("pause", job_id, expect=4).stderr
    assert "can be resumed" in mill.say("resume", job_id, expect=4).stderr
    assert "can be retried" in mill.say("retry", job_id, expect=4).stderr
    assert "has priority 7" in mill.say("priority", job_id, "7").stdout
    assert _json(mill, "status", job_id)["priority"] == 7
    mill.say("priority", job_id, "1001", expect=2)
    assert "cancelled: 0 of 1" in mill.say("cancel", job_id).stdout
    assert "nothing left" in mill.say("priority", job_id, "0", expect=4).stderr
    assert "1 document to do again (0 failed, 1 cut off)" in mill.say("retry", job_id).stdout
    assert _json(mill, "status", job_id)["status"] == "validating"
    assert "no document" in mill.say("failures", job_id).stderr


def test_failures_and_retry_of_one_error_code(running: Mill) -> None:
    job_id = _submit(running, GOOD + "no json\n" + GOOD + '{"txt": "x"}\n' + "nor this\n")
    running.say("wait", job_id, expect=3)
    before = _json(running, "status", job_id)["counts"]
    assert (before["completed"], before["failed"], before["pending"]) == (2, 3, 0)

    shown = running.say("failures", job_id).stdout
    assert shown.index("invalid_json: 2 documents") < shown.index("missing_text: 1 document,")
    assert "line 2: not JSON" in shown
    found = _json(running, "failures", job_id, "--samples", "1")
    assert [(each["code"], each["documents"]) for each in found] == [
        ("invalid_json", 2),
        ("missing_text", 1),
    ]
    assert [[sample["index"] for sample in each["samples"]] for each in found] == [[1], [3]]
    assert all(0 < each["first_seen"] <= each["last_seen"] for each in found)

    assert "nothing to retry" in running.say("retry", job_id, "--error", "worker_died").stderr
    retried = running.say("retry", job_id, "--error", "invalid_json").stdout
    assert "2 documents to do again (2 failed, 0 cut off)" in retried
    running.say("wait", job_id, expect=3)
    assert _json(running, "status", job_id)["counts"] == before
    rows = running.command("results", job_id).stdout.splitlines()
    assert [json.loads(row)["index"] for row in rows] == list(range(5))


def test_a_job_of_which_nothing_could_be_done(running: Mill) -> None:
    job_id = _submit(running, "no json\nnor this\n", "--text-column", "text")
    why = "no_document_done: every document failed; line 1: not JSON (Expecting value)"
    watched = running.say("watch", job_id, expect=1).stderr
    assert f"{job_id} failed: 0 of 2 documents done, 2 failed" in watched
    assert why in watched
    assert f"gistmill failures {job_id}" in watched
    assert "gistmill results" not in watched
    assert why in running.command("results", job_id).stderr


def test_too_many_failures_and_resume(running: Mill) -> None:
    lines = "no json\n" * 100 + GOOD * 300
    job_id = _submit(running, lines, "--max-error-rate", "0.2", "--shard-size", "4")
    ended = json.loads(running.say("wait", job_id, "--json", expect=1).stdout)
    assert ended["status"] == "failed"
    assert ended["error"]["code"] == "too_many_failures"
    assert ended["error"]["message"].startswith("100 of ")
    running.say("resume", job_id)
    ended = json.loads(running.say("wait", job_id, "--json", expect=3).stdout)
    assert (ended["counts"]["completed"], ended["counts"]["failed"]) == (300, 100)


def test_a_window_that_is_shut(running: Mill, client: Client) -> None:
    now = datetime.now(UTC)
    window = f"{now + timedelta(hours=2):%H:%M}-{now + timedelta(hours=3):%H:%M} UTC"
    shut = client.submit(sentences(2), model="lead-1", window=window, priority=9)
    eventually(lambda: shut.status().status == "in_progress", "it is validated")
    assert wait(client.submit(sentences(2), model="lead-1")) == "completed"
    status = shut.status()
    assert (status.status, status.counts.completed, status.eta_seconds) == ("in_progress", 0, None)
    assert f"runs only {window}" in running.say("status", shut.id).stdout


def test_a_deadline(mill: Mill) -> None:
    refused = mill.say(
        "submit", "-", "--model", "lead-1", "--deadline", "2020-01-01T07:00", expect=2
    )
    assert "is over" in refused.stderr
    job_id = _submit(mill, GOOD * 3, "--deadline", "2s")
    mill.dispatcher()
    ended = json.loads(mill.say("wait", job_id, "--json", expect=1).stdout)
    assert (ended["status"], ended["error"]["code"]) == ("expired", "deadline_passed")
    assert "3 documents to do again" in mill.say("retry", job_id).stdout
    mill.worker()
    assert json.loads(mill.say("wait", job_id, "--json").stdout)["counts"]["completed"] == 3


def test_the_higher_priority_is_done_first(mill: Mill) -> None:
    usual, later, urgent = (_submit(mill, GOOD * 6, "--shard-size", "3") for _ in range(3))
    low = _submit(mill, GOOD * 6, "--shard-size", "3", "--priority", "-1")
    mill.say("priority", urgent, "5")
    mill.dispatcher()
    mill.worker()
    for job_id in (usual, later, urgent, low):
        mill.say("wait", job_id)
    with mill.client() as client, client.database.transaction() as tx:
        begun = "SELECT job_id FROM shards ORDER BY started_at"
        order = list(dict.fromkeys(tx.exec_driver_sql(begun).scalars()))
    assert [order[0], order[-1]] == [urgent, low]
    assert set(order[1:3]) == {usual, later}, "these are done together"


def test_labels(mill: Mill) -> None:
    ann = _submit(mill, GOOD, "--label", "user=ann", "--label", "kind=news", "--fair-by", "user")
    ben = _submit(mill, GOOD, "--label", "user=ben", "--name", "Ben's")
    assert mill.say("ls", "-q").stdout.split() == [ben, ann]
    assert mill.say("ls", "-q", "--label", "user=ann").stdout.split() == [ann]
    assert mill.say("ls", "-q", "--label", "user=ann", "--label", "kind=x").stdout == ""
    assert [job["labels"] for job in _json(mill, "ls", "--label", "user=ben")] == [{"user": "ben"}]
    assert "Ben's" in mill.say("ls").stdout
    assert "key=value" in mill.say("ls", "--label", "user", expect=2).stderr


def test_an_idempotency_key(mill: Mill) -> None:
    first = _submit(mill, GOOD, "--idempotency-key", "night-1")
    assert _submit(mill, GOOD, "--idempotency-key", "night-1") == first
    words = ["submit", "-", "--model", "lead-1", "--idempotency-key", "night-1"]
    assert "submitted before" in mill.say(*words, stdin=GOOD).stderr
    other = mill.say(*words, stdin=GOOD * 2, expect=2).stderr
    assert first in other
    assert "choose another key" in other
    assert mill.say("ls", "-q").stdout.split() == [first]


def test_purge(mill: Mill) -> None:
    kept, gone = _submit(mill, GOOD), _submit(mill, GOOD)
    mill.say("cancel", gone)
    assert "no job has been over" in mill.say("purge", "--older-than", "1h").stderr
    listed = mill.say("purge", "--older-than", "0s")
    assert listed.stdout.split() == [gone]
    assert "--yes" in listed.stderr
    assert len(mill.say("ls", "-q").stdout.split()) == 2, "nothing is deleted yet"
    assert mill.say("purge", "--older-than", "0s", "--yes").stdout.split() == [gone]
    assert mill.say("ls", "-q").stdout.split() == [kept]
    assert "30d" in mill.say("purge", "--older-than", "soon", expect=2).stderr


def test_dry_runs(running: Mill, tmp_path: Path) -> None:
    lines = GOOD + "no json\n" + GOOD + '{"text": "Three. Four. Five."}\n'
    lead = running.say("submit", "-", "--model", "lead-1", "--dry-run", stdin=lines).stdout
    for part in (
        "4 documents in 1 shard\n",
        "engine lead\n",
        "1 (25.0 %) can not be used: invalid_json",
        "1 (25.0 %) repeat an earlier one",
        "| One. Two.",
        "input tokens: min 2, median 2, mean 2.3, max 3",
    ):
        assert part in lead
    bart = str(tiny_bart(tmp_path / "bart"))
    words = ["submit", "-", "--model", bart, "--dry-run", "--num-beams", "2", "--shard-size", "2"]
    shown = running.say(*words, "--prompt", "Shorten: {text}", stdin=lines).stdout
    assert "4 documents in 2 shards" in shown
    assert "| Shorten: One. Two." in shown
    decided = dict(_decided(shown))
    assert decided["num_beams"] == ("2", "you")
    assert decided["min_length"] == ("5", "model")
    assert decided["max_input_tokens"] == ("128", "model")
    job = _json(running, "ls", "--limit", "1")[0]
    assert (job["status"], job["dry_run"], job["counts"]["completed"]) == ("completed", True, 0)
    assert "no dry run" in running.say("retry", job["id"], expect=4).stderr
    refused = [*words[:3], str(tmp_path / "none"), *words[4:]]
    assert "model_unknown" in running.say(*refused, stdin=lines, expect=1).stderr


def test_a_dry_run_keeps_how_a_document_begins(running: Mill, tmp_path: Path) -> None:
    """No more of it goes into SQL; prompt and template are seen around it."""
    bart = str(tiny_bart(tmp_path / "bart"))
    words = ["submit", "-", "--model", bart, "--dry-run", "--prompt", "Shorten: {text} Now!"]
    lines = json.dumps({"text": "word " * 1000})
    prompt = json.loads(running.say(*words, "--json", stdin=lines).stdout)["report"]["prompt"]
    assert prompt == f"Shorten: {'word ' * 240} ... Now!"
    assert f"| {prompt}\n" in running.say(*words, stdin=lines).stdout


def test_a_doctor_of_a_mill_that_is_well(running: Mill) -> None:
    found = _json(running, "doctor")
    assert {each["part"]: each["state"] for each in found} == {
        "broker": "ok",
        "broker's transport": "ok",
        "database": "ok",
        "migrations": "ok",
        "dispatcher": "ok",
        "worker": "ok",
        "queue": "ok",
    }
    assert "on cpu, version" in running.say("doctor").stdout


def test_a_doctor_where_nobody_works(mill: Mill) -> None:
    shown = mill.say("doctor", expect=1).stdout
    assert "do: gistmill dispatch, or all: gistmill up" in shown
    assert "do: gistmill worker, or all: gistmill up" in shown
    assert {each["part"]: each["state"] for each in _json(mill, "doctor", expect=1)} == {
        "broker": "ok",
        "broker's transport": "ok",
        "database": "ok",
        "migrations": "ok",
        "dispatcher": "failed",
        "worker": "failed",
        "queue": "ok",
    }


def test_a_doctor_of_servers_that_are_down(mill: Mill) -> None:
    nowhere = {
        "database_url": "postgresql://gistmill:secret@127.0.0.1:1/none",
        "broker_url": "redis://:secret@127.0.0.1:1/0",
    }
    mill.settings = mill.settings.model_copy(update=nowhere)
    said = mill.say("doctor", expect=1)
    assert "FAILED   broker:" in said.stdout
    assert "do: start it, or set GISTMILL_DATABASE_URL" in said.stdout
    assert "secret" not in said.stdout + said.stderr
    assert "Traceback" not in said.stderr


def test_a_doctor_of_servers_that_are_exposed(mill: Mill) -> None:
    """It asks them nothing; no other command does."""
    urls = {
        "database_url": "postgresql://gistmill:secret@db.invalid/mill",
        "broker_url": "redis://:secret@cache.invalid",
    }
    mill.settings = mill.settings.model_copy(update=urls)
    said = mill.say("doctor", expect=1).stdout
    assert "FAILED   database_url:        names another machine without TLS\n" in said
    assert "FAILED   broker_url:          names another machine without TLS\n" in said
    assert "do: write rediss://:PASSWORD@HOST:PORT/0, or set GISTMILL_ALLOW_INSECURE=true" in said
    for words in (["ls"], ["migrate"], ["dispatch"], ["worker"], ["up"], ["alive", "worker"]):
        [line] = mill.say(*words, expect=2).stderr.splitlines()
        assert line.startswith("gistmill: database_url names another machine without TLS; write")
    shown = mill.say("config")
    assert "warning: broker_url names another machine without TLS" in shown.stderr
    assert "secret" not in said + shown.stdout + shown.stderr


def _submit(mill: Mill, lines: str, *words: str) -> str:
    """The id of a job of `lead-1`."""
    return mill.say("submit", "-", "--model", "lead-1", "-q", *words, stdin=lines).stdout.strip()


def _json(mill: Mill, *words: str, expect: int = 0) -> Any:
    return json.loads(mill.say(*words, "--json", expect=expect).stdout)


def _busy(database: Database, job: Job) -> int:
    """Shards that are on their way or in hand."""
    words = "SELECT count(*) FROM shards WHERE job_id = %s AND state IN ('running', 'queued')"
    with database.transaction() as tx:
        return int(tx.exec_driver_sql(words, (job.id,)).scalar_one())


def _decided(shown: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """The parameters of a printed dry run: name, value and who decided."""
    for line in shown.splitlines():
        words = line.split()
        if line.startswith("  ") and len(words) == 3 and words[2] in ("you", "model", "gistmill"):
            yield words[0], (words[1], words[2])

"""What users ask of a job that is there, through the front door, on real processes."""

import json
from pathlib import Path
from typing import Any

import pytest

from producer.client import Job
from tests.mill import Mill, eventually, sentences, wait
from tests.models import tiny_bart


def said(mill: Mill, *words: str, expect: int = 0) -> Any:
    return json.loads(mill.command(*words, "--json", expect=expect).stdout)


@pytest.fixture
def slow(mill: Mill, tmp_path: Path) -> Job:
    """A job of a tiny model that takes some seconds, in progress, its first batch stored."""
    model = tiny_bart(tmp_path / "bart")
    mill.dispatcher()
    mill.worker()
    job = mill.client().submit(
        sentences(160), model=str(model), shard_size=8, min_length=60, max_length=60
    )
    eventually(lambda: job.status().counts.completed, "the first batch")
    return job


def test_pause_and_resume(mill: Mill, slow: Job) -> None:
    assert "paused" in mill.command("pause", slow.id).stdout
    with slow._client.database.transaction() as tx:
        running = "SELECT count(*) FROM shards WHERE state IN ('running', 'queued')"
        eventually(lambda: not tx.exec_driver_sql(running).scalar_one(), "nobody works on it")
    done = slow.status().counts.completed
    assert 0 < done < 160
    assert "in progress can be paused" in mill.command("pause", slow.id, expect=4).stderr
    mill.command("resume", slow.id)
    assert wait(slow) == "completed"
    assert len(list(slow.results())) == 160


def test_cancel_keeps_what_is_done_and_retry_does_the_rest(mill: Mill, slow: Job) -> None:
    mill.command("cancel", slow.id)
    assert wait(slow) == "cancelled"
    counts = slow.status().counts
    assert 0 < counts.completed < 160
    assert counts.completed == len(list(slow.results()))
    assert "cancelled" in mill.command("cancel", slow.id, expect=4).stderr
    retried = mill.command("retry", slow.id).stdout
    assert f"{160 - counts.completed} that were cut off" in retried
    assert wait(slow) == "completed"
    assert [row["index"] for row in slow.results()] == list(range(160))

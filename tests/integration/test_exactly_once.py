"""Each document is stored once, whatever dies. The heavier breaking is tests/faults'."""

import os
import signal
from collections import Counter
from pathlib import Path

from jobs.database import Database
from jobs.documents import Columns
from jobs.job import ModelKey, Row, Shard
from jobs.parameters import Effective
from jobs.states import SHARD_LEASABLE
from jobs.store import deaths, endings, jobs, leasing, validations
from producer.job import Job
from producer.submit import Request, from_python, submit_documents
from tests import leases
from tests.mill import Mill, eventually, pool_child, sentences, wait
from tests.models import tiny_bart

KEY = ModelKey("lead-1", "1", "lead", None)


def test_a_killed_child_costs_nothing(mill: Mill, tmp_path: Path) -> None:
    model = tmp_path / "bart"
    tiny_bart(model)
    mill.dispatcher()
    worker = mill.worker()
    with mill.client() as client:
        job = client.submit(
            sentences(240), model=str(model), shard_size=8, min_length=60, max_length=60
        )
        for stored in (8, 80):
            eventually(lambda s=stored: job.status().counts.completed >= s, "progress")  # type: ignore[misc]
            os.kill(pool_child(worker), signal.SIGKILL)
        assert wait(job) == "completed"
        _whole(job, 240)
    assert worker.poll() is None
    said = "the child ended; what it held is taken up again"
    ends = [event for event in mill.events("worker") if event["event"] == said]
    assert [event["why"] for event in ends] == ["killed by signal 9 (SIGKILL)"] * 2
    assert "Traceback" not in mill.log("worker").read_text()


def test_a_killed_worker_costs_nothing(mill: Mill, tmp_path: Path) -> None:
    """Another worker takes over once the lease has run out."""
    model = tmp_path / "bart"
    tiny_bart(model)
    mill.dispatcher()
    first = mill.worker("first")
    with mill.client() as client:
        job = client.submit(
            sentences(48), model=str(model), shard_size=8, min_length=60, max_length=60
        )
        eventually(lambda: job.status().counts.completed >= 8, "progress")
        child = pool_child(first)
        os.kill(first.pid, signal.SIGKILL)
        eventually(lambda: not Path(f"/proc/{child}").exists(), "the child dies with its parent")
        mill.worker("second")
        assert wait(job) == "completed"
        _whole(job, 48)


def test_a_worker_that_is_asked_to_stop_hands_back(mill: Mill, tmp_path: Path) -> None:
    """In the middle of a shard it ends with 0, and another goes on at once: nobody waits for a
    lease to run out."""
    model = tmp_path / "bart"
    tiny_bart(model)
    mill.dispatcher()
    first = mill.worker("first")
    with mill.client() as client:
        job = client.submit(
            sentences(80),
            model=str(model),
            shard_size=80,
            # Many batches, so that one comes to its end after the worker was asked to stop.
            num_beams=8,
            min_length=60,
            max_length=60,
        )
        eventually(lambda: job.status().counts.completed, "the first batch")
        first.terminate()
        assert first.wait(30) == 0
        assert job.status().counts.completed < 80
        with client.database.transaction() as tx:
            lease = "SELECT state, leased_by, deaths FROM shards"
            state, leased_by, deaths = tx.exec_driver_sql(lease).one()
        assert state in SHARD_LEASABLE, "or it is on its way again already"
        assert (leased_by, deaths) == (None, 0)
        mill.worker("second")
        assert wait(job) == "completed"
        _whole(job, 80)


def test_who_lost_the_lease_stores_nothing(database: Database) -> None:
    """A zombie's batch changes no row and no count, before and after the other one's store."""
    job_id = _started(database, 4)
    zombie = _lease(database, job_id, "zombie", seconds=0.001)
    heir = _lease(database, job_id, "heir")
    assert heir.attempt == zombie.attempt + 1
    assert not _store(database, zombie, [0, 1], done=False)
    assert _store(database, heir, [0, 1, 2, 3], done=True)
    assert not _store(database, zombie, [2, 3], done=True)
    with database.transaction() as tx:
        assert not leasing.renew(tx, [zombie], 60)
        assert not leasing.hand_back(tx, [zombie])
        record = jobs.get(tx, job_id)
    assert (record.completed, record.failed) == (4, 0)


def test_what_is_stored_is_not_counted_again(database: Database) -> None:
    job_id = _started(database, 4)
    first = _lease(database, job_id, "first", seconds=0.001)
    assert _store(database, first, [0, 1], done=False)
    with database.transaction() as tx:
        deaths.return_expired(tx, 60)
    second = _lease(database, job_id, "second")
    assert _store(database, second, [0, 1, 2, 3], done=True)
    with database.transaction() as tx:
        assert jobs.get(tx, job_id).completed == 4


def test_a_live_lease_is_left_alone(database: Database) -> None:
    job_id = _started(database, 4)
    held = _lease(database, job_id, "holder")
    with database.transaction() as tx:
        assert leasing.take(tx, held.id, "other", 60) is None
        assert leases.lease_next(tx, KEY, "other", 60) is None
        assert deaths.return_expired(tx, 60) == 0
        assert leasing.take(tx, held.id, "holder", 60) is not None, "its own child died"


def test_what_sql_refuses_costs_one_document(database: Database) -> None:
    job_id = _started(database, 3)
    shard = _lease(database, job_id, "worker")
    rows = [_row(0), _row(1, summary="NUL \x00 inside"), _row(2)]
    with database.transaction() as tx:
        assert leases.stored(tx, shard, rows, done=True)
        record = jobs.get(tx, job_id)
    assert (record.completed, record.failed) == (2, 1)


def test_finalized_exactly_once(database: Database) -> None:
    job_id = _started(database, 1)
    shard = _lease(database, job_id, "worker")
    with database.transaction() as tx:
        assert endings.close_finished(tx) == []
    assert _store(database, shard, [0], done=True)
    with database.transaction() as tx:
        assert [closed.job_id for closed in endings.close_finished(tx)] == [job_id]
        assert endings.close_finished(tx) == []
        record = jobs.get(tx, job_id)
    assert (record.status, record.completed) == ("completed", 1)


def _started(database: Database, count: int) -> str:
    """A job of one shard that is in progress."""
    request = Request(model=KEY.model)
    job_id = submit_documents(database, request, from_python(sentences(count), Columns())).job_id
    with database.transaction() as tx:
        validation = validations.lease(tx, job_id, "validator", 60)
        assert validation is not None
        assert validations.start(tx, validation, KEY, Effective())
    return job_id


def _lease(database: Database, job_id: str, worker: str, seconds: float = 60) -> Shard:
    with database.transaction() as tx:
        shard = leases.lease_next(tx, KEY, worker, seconds)
    assert shard is not None
    assert shard.job_id == job_id
    return shard


def _store(database: Database, shard: Shard, indexes: list[int], *, done: bool) -> bool:
    with database.transaction() as tx:
        rows = [_row(index) for index in indexes]
        return leases.stored(tx, shard, rows, done=done, seconds=0.001)


def _row(index: int, summary: str = "A summary.") -> Row:
    return Row(index, None, summary, 5, 2, False, "stop", None, None, None)


def _whole(job: Job, count: int) -> None:
    """Every index once, and counts that equal the rows."""
    rows = list(job.results())
    assert Counter(row["index"] for row in rows) == Counter(range(count))
    assert [row["error"] for row in rows] == [None] * count
    status = job.status()
    assert status.counts.completed == count
    assert status.usage.output_tokens == sum(row["output_tokens"] for row in rows)

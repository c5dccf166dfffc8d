"""The next shards in dispatch order, and what those who look for them lock."""

import pytest
from sqlalchemy import true

from jobs.database import Database, Transaction
from jobs.documents import Columns
from jobs.job import ModelKey
from jobs.parameters import Effective
from jobs.store import control, documents, jobs, leasing, validations, waiting, workers
from producer.submit import Request, from_python, submit_documents
from tests.conftest import TIMINGS
from tests.leases import KEY, LEASE, lease
from tests.mill import sentences
from worker.leases import Leases


def started(database: Database, count: int, priority: int = 0) -> str:
    """A job in progress of so many shards of one document."""
    request = Request(model=KEY.model, shard_size=1, priority=priority)
    job_id = submit_documents(database, request, from_python(sentences(count), Columns())).job_id
    with database.transaction() as tx:
        validation = validations.lease(tx, job_id, "validator", LEASE)
        assert validation is not None
        assert validations.start(tx, validation, KEY, Effective())
    return job_id


def found(tx: Transaction, limit: int) -> list[int]:
    return [row.id for row in tx.execute(waiting.in_order(true(), true(), limit))]


@pytest.mark.parametrize("analyzed", [False, True])
def test_no_more_are_locked_than_are_found(database: Database, analyzed: bool) -> None:
    """Whatever PostgreSQL knows of the tables: others find the rest, in the same order."""
    for _ in range(3):
        started(database, 3)
    if analyzed:
        with database.transaction() as tx:
            tx.exec_driver_sql("ANALYZE")
    with database.transaction() as tx:
        in_order = found(tx, 10)
    assert len(in_order) == 9
    with database.transaction() as one, database.transaction() as other:
        assert found(one, 4) == in_order[:4], "across two jobs"
        assert found(other, 10) == in_order[4:]


def test_jobs_by_priority_and_shards_by_number(database: Database) -> None:
    older, newer, urgent = started(database, 2), started(database, 2), started(database, 2, 5)
    done = [lease(database, f"worker {n}") for n in range(6)]
    assert [shard.job_id for shard in done] == [urgent, urgent, older, older, newer, newer]
    assert [shard.number for shard in done] == [0, 1] * 3


def test_long_documents_go_to_sql_in_several_statements(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "_CHARACTERS_AT_ONCE", 50)
    texts = ["short", "x" * 60, "also short", "y" * 60, "last"]
    given = from_python(texts, Columns())
    job_id = submit_documents(database, Request(model=KEY.model), given).job_id
    with database.transaction() as tx:
        assert [each.text for each in documents.read(tx, job_id, 0, 5)] == texts


def test_the_workers_of_a_job_are_counted_once_each(database: Database) -> None:
    job_id = started(database, 5)
    lease(database, "ann")
    with database.transaction() as tx:
        assert len(leasing.take_next(tx, KEY, "bob", LEASE, documents=3)) == 3
        record = jobs.get(tx, job_id)
    assert record.pace is not None
    assert record.pace.workers == 2


def alive(database: Database, *names: str) -> None:
    with database.transaction() as tx:
        for name in names:
            workers.announce(tx, workers.Presence(name, "worker", "host", 1, "cpu", "1"))


def taken(database: Database, worker: str) -> int:
    """How many documents a worker with nothing in hand takes, where a window holds them all."""
    return len(Leases(database, worker, TIMINGS).next(KEY, 256))


def test_a_little_is_shared_by_those_that_may_come_for_it(database: Database) -> None:
    alive(database, "ann", "bob", "carl")
    started(database, 1)
    other = ModelKey("lead-1", "2", "lead", None)
    with database.transaction() as tx:
        tx.exec_driver_sql("UPDATE jobs SET model_revision = '2'")
        assert leasing.take_next(tx, other, "carl", LEASE), "he is busy with another model"
    started(database, 40)
    assert [taken(database, "ann"), taken(database, "bob")] == [20, 10]


def test_a_part_is_not_too_small(database: Database) -> None:
    alive(database, *(f"worker {number}" for number in range(20)))
    started(database, 20)
    assert [taken(database, f"worker {number}") for number in range(3)] == [8, 8, 4]


def test_who_leases_does_not_wait_for_who_cancels(database: Database) -> None:
    """Who cancels has the job, and waits for the shards that are locked here."""
    started(database, 3)
    lease(database, "vanished", seconds=-1)
    with database.transaction() as cancelling, database.transaction() as leasing_:
        job_id = cancelling.exec_driver_sql("UPDATE jobs SET name = name RETURNING id").scalar_one()
        leasing_.exec_driver_sql("SET LOCAL lock_timeout = '1s'")
        assert len(leasing.take_next(leasing_, KEY, "ann", LEASE)) == 1
        leasing_.commit()
        assert control.cancel(cancelling, job_id)
    with database.transaction() as tx:
        states = tx.exec_driver_sql("SELECT state FROM shards ORDER BY number").scalars().all()
    assert states == ["running", "cancelled", "cancelled"]

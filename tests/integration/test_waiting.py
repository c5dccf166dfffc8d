"""The next shards in dispatch order, and what those who look for them lock."""

import pytest
from sqlalchemy import true

from jobs.database import Database, Transaction
from jobs.documents import Columns
from jobs.parameters import Effective
from jobs.store import documents, jobs, leasing, validations, waiting
from producer.submit import Request, from_python, submit_documents
from tests.leases import KEY, LEASE, lease
from tests.mill import sentences


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

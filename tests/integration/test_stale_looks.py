"""Transactions that looked before another one changed what they saw: they look again."""

import threading
from collections.abc import Callable

from jobs.database import Database, Transaction
from jobs.documents import Columns
from jobs.job import ModelKey, Row, Shard
from jobs.parameters import Effective
from jobs.store import control, endings, jobs, queueing, validations
from producer.submit import Request, from_python, submit_documents
from tests import leases
from tests.mill import eventually

KEY = ModelKey("lead-1", "1", "lead", None)


def test_a_job_that_was_retried_meanwhile_is_not_closed(database: Database) -> None:
    """Who closes it saw its shards when they were over."""
    job_id = _started(database, ["A text.", ""])
    _work(database)
    with database.transaction() as tx:
        assert control.cancel(tx, job_id)
        assert control.retry(tx, job_id, None)
        closing = _start(lambda: _close(database))
        _until_blocked(database)
    closing.join()
    with database.transaction() as tx:
        assert jobs.get(tx, job_id).status == "in_progress"
    _work(database)
    _close(database)
    with database.transaction() as tx:
        job = jobs.get(tx, job_id)
    assert (job.status, job.completed, job.failed) == ("completed", 1, 1)


def test_a_job_that_was_retried_meanwhile_is_not_failed_for_what_is_gone(
    database: Database,
) -> None:
    job_id = _started(database, ["A text.", ""], max_error_rate=0.1)
    _work(database)
    with database.transaction() as tx:
        assert control.cancel(tx, job_id)
        assert control.retry(tx, job_id, None)
        judging = _start(lambda: _judge(database))
        _until_blocked(database)
    judging.join()
    with database.transaction() as tx:
        assert jobs.get(tx, job_id).error is None
    _work(database)
    _judge(database)
    with database.transaction() as tx:
        assert jobs.get(tx, job_id).error is not None


def test_a_dispatcher_keeps_no_worker_from_storing(database: Database) -> None:
    """Else a dispatcher that is stopped stops workers, and the two may wait for each other."""
    job_id = _started(database, ["A text."])
    with database.transaction() as tx:
        shard = leases.lease_next(tx, KEY, "worker", 60)
        assert shard is not None
    with database.transaction() as tx:
        assert control.cancel(tx, job_id)
    with database.transaction() as dispatching:
        queueing.cancel_unstarted_of_ending(dispatching)
        with database.transaction() as tx:
            tx.exec_driver_sql("SET LOCAL lock_timeout = '2s'")
            assert _store(tx, shard)


def test_what_is_sent_while_its_job_is_paused_is_taken_back(database: Database) -> None:
    """Else it would count as on its way, and be sent again late once the job goes on."""
    job_id = _started(database, ["A text."])
    state = "SELECT state FROM shards"
    with database.transaction() as turn:
        assert queueing.queue_due(turn, 1, 60)
        with database.transaction() as tx:
            assert control.pause(tx, job_id)
    with database.transaction() as tx:
        assert tx.exec_driver_sql(state).scalar_one() == "queued"
    with database.transaction() as next_turn:
        assert queueing.unqueue_paused(next_turn) == 1
    with database.transaction() as tx:
        assert tx.exec_driver_sql(state).scalar_one() == "pending"


def _started(database: Database, texts: list[str], max_error_rate: float | None = None) -> str:
    request = Request(model=KEY.model, max_error_rate=max_error_rate)
    job_id = submit_documents(database, request, from_python(texts, Columns())).job_id
    with database.transaction() as tx:
        validation = validations.lease(tx, job_id, "worker", 60)
        assert validation is not None
        assert validations.start(tx, validation, KEY, Effective())
    return job_id


def _work(database: Database) -> None:
    with database.transaction() as tx:
        shard = leases.lease_next(tx, KEY, "worker", 60)
        assert shard is not None
        assert _store(tx, shard)


def _store(tx: Transaction, shard: Shard) -> bool:
    """The first document done, the others failed."""
    rows = [_row(index) for index in range(shard.start, shard.stop)]
    return leases.stored(tx, shard, rows, done=True)


def _row(index: int) -> Row:
    code = "generation_failed" if index else None
    summary = None if code else "A summary."
    return Row(index, None, summary, 5, 2, False, None, code, code and "why", None)


def _close(database: Database) -> None:
    with database.transaction() as tx:
        endings.close_finished(tx)


def _judge(database: Database) -> None:
    with database.transaction() as tx:
        endings.end_failing(tx)


def _start(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def _until_blocked(database: Database) -> None:
    def look() -> bool:
        with database.transaction() as tx:
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            return bool(tx.exec_driver_sql(waiting).scalar_one())

    eventually(look, "somebody waits for a lock")

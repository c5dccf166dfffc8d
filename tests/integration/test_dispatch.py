"""The dispatcher: a small window, filled oldest first; what was lost is sent again."""

import logging
import threading
from typing import Any

import pytest

from jobs.broker import Broker
from jobs.database import Database, Transaction
from jobs.documents import Columns
from jobs.errors import DatabaseUnreachable, NotMigrated
from jobs.job import ModelKey, Row
from jobs.parameters import Effective
from jobs.settings import Timings
from jobs.states import JobStatus
from jobs.store import endings, jobs, leasing, locks, validations
from jobs.store.endings import Closed
from producer import dispatch
from producer.dispatch import Turn
from producer.submit import Request, from_python, submit_documents
from tests import leases
from tests.conftest import TIMINGS
from tests.mill import eventually, sentences

HASTY = TIMINGS.model_copy(update={"resend_after": 0.001})
KEY = ModelKey("lead-1", "1", "lead", None)


def test_a_model_is_validated_once(database: Database, broker: Broker) -> None:
    """One message for all waiting jobs of a model."""
    ids = [_submit(database) for _ in range(3)]
    other = _submit(database, model="lead-2")
    assert sorted(_fill(database, broker).validations) == sorted([ids[0], other])
    assert _fill(database, broker).validations == [], "they are on their way"
    with database.transaction() as tx:
        validation = validations.lease(tx, ids[2], "worker", 60)
    assert validation is not None
    assert validation.job_id == ids[0], "the oldest first, whatever the message names"


def test_the_window_is_filled_oldest_first(database: Database, broker: Broker) -> None:
    older, newer = _submit(database, 10), _submit(database, 10)
    for job_id in (newer, older):
        _start(database, job_id)
    first = _fill(database, broker)
    assert len(first.shards) == 8
    assert broker.queue_length() == 8
    assert _fill(database, broker).shards == [], "the window is full"
    with database.transaction() as tx:
        leased = [leasing.take(tx, shard_id, "worker", 60) for shard_id in first.shards]
    assert [shard.job_id for shard in leased if shard] == [older] * 8
    assert [shard.number for shard in leased if shard] == list(range(8))


def test_what_was_lost_is_sent_again_before_what_is_new(database: Database, broker: Broker) -> None:
    job_id = _submit(database, 30)
    _start(database, job_id)
    first = _fill(database, broker).shards
    broker.purge()
    again = eventually(lambda: _fill(database, broker, HASTY).shards, "sent again")
    assert again == first


def test_one_at_a_time(database: Database, broker: Broker) -> None:
    _submit(database)
    with database.transaction() as tx:
        assert locks.try_dispatch(tx)
        assert _fill(database, broker) == Turn(), "another one is at it"
    assert _fill(database, broker).validations != []


def test_the_shards_of_a_failed_job_are_given_up(database: Database, broker: Broker) -> None:
    job_id = _submit(database, 5)
    _start(database, job_id)
    with database.transaction() as tx:
        running = leases.lease_next(tx, KEY, "worker", 60)
        assert running is not None
        assert endings.fail(tx, job_id, "source_changed", "it changed")
    assert _fill(database, broker).closed == [], "a shard still runs"
    with database.transaction() as tx:
        assert not leases.announced(tx, running, [0])
        assert leasing.hand_back(tx, [running])
    assert _fill(database, broker).closed == [Closed(job_id, JobStatus.FAILED, "source_changed")]
    with database.transaction() as tx:
        record = jobs.get(tx, job_id)
    assert (record.status, record.error and record.error["code"]) == ("failed", "source_changed")


def test_no_document_done_is_a_failed_job(database: Database, broker: Broker) -> None:
    job_id = submit_documents(
        database, Request(model="lead-1"), from_python([""], Columns())
    ).job_id
    _start(database, job_id)
    with database.transaction() as tx:
        shard = leases.lease_next(tx, KEY, "worker", 60)
        assert shard is not None
        assert leases.stored(tx, shard, [], done=True)
    assert _fill(database, broker).closed == [Closed(job_id, JobStatus.FAILED, "no_document_done")]
    with database.transaction() as tx:
        record = jobs.get(tx, job_id)
    assert (record.status, record.error and record.error["code"]) == ("failed", "no_document_done")


def test_the_log_says_how_a_job_ended(
    database: Database, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    for given, code in (("A text.", None), ("", "no_document_done")):
        documents = from_python([given], Columns())
        job_id = submit_documents(database, Request(model="lead-1"), documents).job_id
        _start(database, job_id)
        with database.transaction() as tx:
            shard = leases.lease_next(tx, KEY, "worker", 60)
            assert shard is not None
            summary = Row(0, None, "A text.", 2, 2, False, "stop", None, None, None)
            rows = [] if code else [summary]
            assert leases.stored(tx, shard, rows, done=True)
        stop = threading.Event()
        with caplog.at_level(logging.INFO, "gistmill.dispatch"):
            running = threading.Thread(
                target=dispatch.run, args=(database, broker, TIMINGS, stop), daemon=True
            )
            running.start()
            status = "failed" if code else "completed"
            said = {"event": "job is over", "job": job_id, "status": status}
            said |= {"error": code} if code else {}

            def record(said: Any = said) -> logging.LogRecord | None:
                return next((each for each in caplog.records if each.msg == said), None)

            found = eventually(record, str(said))
            stop.set()
            running.join()
        assert found is not None
        assert found.levelname == ("WARNING" if code else "INFO")


def test_the_log_says_it_without_redis_too(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And a database that is to be migrated is waited for, like one that is down."""
    request = Request(model="lead-1")
    job_id = submit_documents(database, request, from_python([""], Columns())).job_id
    _start(database, job_id)
    with database.transaction() as tx:
        shard = leases.lease_next(tx, KEY, "worker", 60)
        assert shard is not None
        assert leases.stored(tx, shard, [], done=True)
    turns = iter([NotMigrated("run gistmill migrate"), None])
    stop = threading.Event()
    end_late = endings.end_late

    def late(tx: Transaction) -> list[str]:
        if error := next(turns):
            raise error
        stop.set()
        return end_late(tx)

    monkeypatch.setattr(endings, "end_late", late)
    gone = Broker("redis://127.0.0.1:1/0", TIMINGS)
    with caplog.at_level(logging.INFO, "gistmill.dispatch"):
        dispatch.run(database, gone, TIMINGS, stop)
    said = [str(each.msg) for each in caplog.records if each.name == "gistmill.dispatch"]
    assert len(said) == 3
    assert "gistmill migrate" in said[0]
    assert "job is over" in said[1]
    assert "a turn failed" in said[2]


def test_only_who_submits_may_dawdle(database: Database) -> None:
    """An input may pause for as long as it likes. A dispatcher may not keep the lock, nor a
    worker that is stopped in the middle of a store the counter that all others wait for."""
    timeout = "SHOW idle_in_transaction_session_timeout"
    with database.transaction() as tx:
        assert tx.exec_driver_sql(timeout).scalar_one() == "30s"
        locks.may_idle(tx)
        assert tx.exec_driver_sql(timeout).scalar_one() == "0"
    with database.transaction() as tx:
        assert tx.exec_driver_sql(timeout).scalar_one() == "30s"


def test_a_connection_that_the_server_ends(database: Database) -> None:
    """Whatever the driver makes of it, it is a database that does not answer."""
    with pytest.raises(DatabaseUnreachable, match=r"idle|closed the connection"):
        _dawdle(database)


def _dawdle(database: Database) -> None:
    with database.transaction() as tx:
        pid = tx.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        tx.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 1")

        def gone() -> bool:
            query = f"SELECT FROM pg_stat_activity WHERE pid = {pid}"
            with database.transaction() as other:
                return other.exec_driver_sql(query).one_or_none() is None

        eventually(gone, "the server ends the connection")
        tx.exec_driver_sql("SELECT 1")


def _fill(database: Database, broker: Broker, timings: Timings = TIMINGS) -> Turn:
    return dispatch.fill(database, broker, timings)


def _submit(database: Database, count: int = 1, model: str = "lead-1") -> str:
    request = Request(model=model, shard_size=1)
    return submit_documents(database, request, from_python(sentences(count), Columns())).job_id


def _start(database: Database, job_id: str) -> None:
    """Validate until `job_id` has been."""
    with database.transaction() as tx:
        while jobs.get(tx, job_id).status == "validating":
            validation = validations.lease(tx, job_id, "validator", 60)
            assert validation is not None
            assert validations.start(tx, validation, KEY, Effective())

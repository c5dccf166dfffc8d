"""A database that goes away in the middle of a store costs one batch, and is nobody's death."""

from pathlib import Path
from typing import Any

import pytest

from jobs.broker import Broker
from jobs.database import Database
from jobs.errors import DatabaseRefuses
from jobs.settings import Settings
from jobs.store import jobs, queueing, summaries, validations
from tests.children import Recording, pipeline, validator
from tests.conftest import TIMINGS
from tests.leases import started, submitted
from worker.heartbeat import Heartbeat


def test_a_shard_is_handed_back_once_the_database_answers(
    database: Database,
    broker: Broker,
    configured: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And is done in the same task: no lease runs out, no document comes under suspicion, and none
    is generated again: what could not be stored is stored first."""
    job_id = started(database, 6)
    with database.transaction() as tx:
        (shard_id,) = queueing.queue_due(tx, 1, 60)
    left = [1, 1]

    def add(tx: Any, *given: Any) -> Any:
        if left:
            left.pop()
            tx.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")
        return whole(tx, *given)

    whole = summaries.add
    monkeypatch.setattr(summaries, "add", add)
    heartbeat = _heartbeat(configured, tmp_path)
    engine = Recording()
    pipeline(database, broker, heartbeat, engine).summarize(shard_id)
    assert sorted(number for batch in engine.batches for number in batch) == [*range(6)]
    with database.transaction() as tx:
        assert jobs.get(tx, job_id).completed == 6
        suspected = "SELECT deaths, false_starts, suspects FROM shards"
        assert tuple(tx.exec_driver_sql(suspected).one()) == (0, 0, {})


def test_a_database_that_takes_no_writes(database: Database) -> None:
    """As a standby that nobody has promoted yet: it is waited for."""
    with pytest.raises(DatabaseRefuses, match="takes no writes: cannot execute"):
        _write_read_only(database)


def _write_read_only(database: Database) -> None:
    with database.transaction() as tx:
        tx.exec_driver_sql("SET TRANSACTION READ ONLY")
        tx.exec_driver_sql("DELETE FROM jobs")


def test_a_validation_is_handed_back_once_the_database_answers(
    database: Database, configured: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is done in the same task."""
    job_id = submitted(database, 1)
    left = [1, 1, 1, 1]

    def start(tx: Any, *given: Any) -> Any:
        if left:
            left.pop()
            tx.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")
        return whole(tx, *given)

    whole = validations.start
    monkeypatch.setattr(validations, "start", start)
    validator(database, _heartbeat(configured, tmp_path), tmp_path).validate(job_id)
    with database.transaction() as tx:
        assert jobs.get(tx, job_id).status == "in_progress"


def _heartbeat(configured: Settings, folder: Path) -> Heartbeat:
    assert configured.database_url
    own = Database(configured.database_url, connections=1)
    return Heartbeat(own, TIMINGS, folder / "drain")

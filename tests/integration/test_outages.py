"""A database that goes away in the middle of a store costs one batch, and is nobody's death."""

from pathlib import Path
from typing import Any

import pytest

from jobs.allowed_sources import Allowed
from jobs.broker import Broker
from jobs.database import Database
from jobs.errors import DatabaseRefuses
from jobs.settings import Settings
from jobs.store import jobs, queueing, summaries, validations
from tests.conftest import TIMINGS
from tests.leases import WORKER, started, submitted
from worker.engines.lead import LeadEngine
from worker.heartbeat import Heartbeat
from worker.pipeline import Pipeline
from worker.validation import Validator


def test_a_shard_is_handed_back_once_the_database_answers(
    database: Database,
    broker: Broker,
    configured: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And is done in the same task: no lease runs out, and no document comes under suspicion."""
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
    _pipeline(database, broker, configured, tmp_path).summarize(shard_id)
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
    Validator(
        allowed=Allowed(None),
        database=database,
        heartbeat=_heartbeat(configured, tmp_path),
        home=tmp_path,
        device="cpu",
        worker=WORKER,
        timings=TIMINGS,
    ).validate(job_id)
    with database.transaction() as tx:
        assert jobs.get(tx, job_id).status == "in_progress"


def _heartbeat(configured: Settings, folder: Path) -> Heartbeat:
    assert configured.database_url
    own = Database(configured.database_url, connections=1)
    return Heartbeat(own, TIMINGS, folder / "drain")


def _pipeline(database: Database, broker: Broker, configured: Settings, folder: Path) -> Pipeline:
    return Pipeline(
        allowed=Allowed(None),
        database=database,
        broker=broker,
        heartbeat=_heartbeat(configured, folder),
        load_engine=lambda key: LeadEngine(1),
        worker=WORKER,
        timings=TIMINGS,
    )

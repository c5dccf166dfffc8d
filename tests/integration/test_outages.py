"""A database that goes away in the middle of a store costs one batch, and is nobody's death."""

from pathlib import Path
from typing import Any

import pytest

from jobs.allowed_sources import Allowed
from jobs.broker import Broker
from jobs.database import Database
from jobs.settings import Settings
from jobs.store import jobs, queueing, summaries
from tests.conftest import TIMINGS
from tests.leases import WORKER, started
from worker.engines.lead import LeadEngine
from worker.heartbeat import Heartbeat
from worker.pipeline import Pipeline


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


def _pipeline(database: Database, broker: Broker, configured: Settings, folder: Path) -> Pipeline:
    assert configured.database_url
    beating = Heartbeat(Database(configured.database_url, connections=1), TIMINGS, folder / "drain")
    return Pipeline(
        allowed=Allowed(None),
        database=database,
        broker=broker,
        heartbeat=beating,
        load_engine=lambda key: LeadEngine(1),
        worker=WORKER,
        timings=TIMINGS,
    )

"""Children of a worker, one after the other."""

from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.broker import Broker
from jobs.database import Database
from tests.children import NextChild, pipeline
from tests.conftest import TIMINGS
from worker.engines import Engine
from worker.heartbeat import Heartbeat


@pytest.fixture
def heartbeat(database: Database, tmp_path: Path) -> Heartbeat:
    """It beats when a test says so."""
    return Heartbeat(database, TIMINGS.model_copy(update={"heartbeat": 1e6}), tmp_path / "drain")


@pytest.fixture
def next_child(database: Database, broker: Broker, heartbeat: Heartbeat) -> NextChild:
    def born(engine: Engine, **timings: float) -> Callable[[], None]:
        child = pipeline(database, broker, heartbeat, engine, **timings)
        with database.transaction() as tx:
            shard_id = tx.exec_driver_sql("SELECT min(id) FROM shards").scalar_one()
        return lambda: child.summarize(shard_id)

    return born

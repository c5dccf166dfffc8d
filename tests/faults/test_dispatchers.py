"""Dispatchers that are stopped, with a transaction open or not; two shards that finish together."""

import os
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jobs.database import Database
from jobs.job import ModelKey, Row, Shard
from jobs.parameters import Effective
from jobs.store import validations
from producer import dispatch
from tests import leases
from tests.faults.engine import first_sentence
from tests.faults.ground import HELD, RECOVERY, Ground
from tests.faults.producer import VARIABLE, Blow, Place
from tests.faults.racing import Wakeups
from tests.mill import eventually

KEY = ModelKey("lead-1", "1", "lead", None)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("place", ["sending", "dispatching"])
def test_dispatcher_stopped(ground: Ground, tmp_path: Path, place: Place) -> None:
    """SIGSTOP of one of two dispatchers, between commit and send or with its transaction open."""
    after = ground.dice.randint(0, 4) if place == "sending" else 0
    blow = Blow(place=place, signal=signal.SIGSTOP, after=after, mark=tmp_path / "stopped")
    stopped = _dispatcher(ground, blow)
    ground.worker()
    ground.submit(200, shard_size=4)
    eventually(blow.mark.exists, "it stops")
    ground.fault()
    ground.mill.dispatcher()
    ground.progress(60)
    os.kill(stopped.pid, signal.SIGCONT)
    ground.submit(40, shard_size=4)
    held = HELD if place == "dispatching" else 0
    ground.settle(waste=0, recovery=held + ground.lease + RECOVERY)
    assert stopped.poll() is None


@pytest.mark.timeout(300)
def test_dispatcher_stopped_again_and_again(ground: Ground) -> None:
    """SIGSTOP and SIGCONT of one of two dispatchers, at seeded moments."""
    sleeper = ground.mill.start("sleeper", "dispatch")
    ground.mill.dispatcher()
    ground.worker()
    ground.submit(500, shard_size=4)
    for _ in range(6):
        ground.progress(ground.dice.randint(1, 40))
        os.kill(sleeper.pid, signal.SIGSTOP)
        ground.fault()
        ground.progress(ground.dice.randint(1, 40))
        os.kill(sleeper.pid, signal.SIGCONT)
    ground.settle(waste=0, recovery=HELD + ground.lease + RECOVERY)
    assert sleeper.poll() is None


def test_last_shards_finishing_together(ground: Ground) -> None:
    """Two last shards finishing together under two dispatchers, thirty times."""
    url = ground.mill.settings.database_url
    assert url
    database, broker = Database(url), Wakeups()
    meeting = threading.Barrier(4, timeout=30)

    def finish(shard: Shard) -> None:
        row = Row(shard.start, None, summaries[shard.start], 1, 1, False, None, None, None, None)
        meeting.wait()
        with database.transaction() as tx:
            assert leases.stored(tx, shard, [row], done=True)

    def close() -> None:
        meeting.wait()
        dispatch.fill(database, broker, ground.mill.settings.timings)

    with ThreadPoolExecutor(4) as together:
        for number in range(1, 31):
            job = ground.submit(2, shard_size=1)
            summaries = [first_sentence(f"{number}-{place}") for place in range(2)]
            racing = [together.submit(finish, shard) for shard in _leased(database, job.id)]
            racing += [together.submit(close) for _ in range(2)]
            for each in racing:
                each.result()
            job_id = job.id
            eventually(lambda j=job_id: _closed(ground, database, broker, j), "it is closed")  # type: ignore[misc]
    database.close()
    ground.settle(waste=0)


def _dispatcher(ground: Ground, blow: Blow) -> subprocess.Popen[bytes]:
    variables = {VARIABLE: blow.model_dump_json()}
    return ground.mill.start("stopped", "dispatch", module="tests.faults.producer", **variables)


def _leased(database: Database, job_id: str) -> list[Shard]:
    with database.transaction() as tx:
        validation = validations.lease(tx, job_id, "worker", 60)
        assert validation is not None
        assert validations.start(tx, validation, KEY, Effective())
        leased = [leases.lease_next(tx, KEY, f"worker-{number}", 60) for number in range(2)]
    return [shard for shard in leased if shard is not None]


def _closed(ground: Ground, database: Database, broker: Wakeups, job_id: str) -> bool:
    dispatch.fill(database, broker, ground.mill.settings.timings)
    return bool(ground.look("SELECT status FROM jobs WHERE id = %s", job_id) == "completed")

"""A mill on several machines, one of which loses its network in the middle of a job."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.database import Database
from jobs.services import Endpoints
from jobs.settings import Settings, Timings
from jobs.store import tokens
from tests.conftest import TIMINGS
from tests.faults.conftest import ground_of
from tests.faults.ground import Ground
from tests.faults.machines import Machines, SpreadMill, can_be_made, servers
from tests.mill import eventually

pytestmark = pytest.mark.skipif(not can_be_made(), reason="no network namespaces here")

_WORKERS = ("w1", "w2", "w3")


@pytest.fixture
def machines() -> Iterator[Machines]:
    with Machines() as made:
        for name in ("front", "user", *_WORKERS):
            made.add(name)
        yield made


@pytest.fixture(params=[TIMINGS, Timings()], ids=["lease of 6 s", "lease of 60 s"])
def spread(
    machines: Machines, tmp_path: Path, seed: int, request: pytest.FixtureRequest
) -> Iterator[Ground]:
    """A mill of dispatcher, API and three workers, each on a machine of its own."""
    logs = tmp_path / "logs"
    logs.mkdir()
    with (
        tempfile.TemporaryDirectory(prefix="gm") as folder,
        servers(machines.here, Path(folder)) as (database_url, broker_url),
    ):
        configured = Settings(
            home=tmp_path / "home",
            database_url=database_url,
            broker_url=broker_url,
            allow_insecure=True,
            timings=request.param,
        )
        database = Database(database_url)
        database.migrate()
        database.close()
        endpoints = Endpoints(database_url, broker_url, embedded_database=False, hold=None)
        mill = SpreadMill(configured, logs, machines)
        try:
            yield ground_of(mill, endpoints, tmp_path, seed, request)
        finally:
            mill.stop()
            request.node.add_report_section("teardown", "mill", mill.logs())


@pytest.mark.timeout(600)
def test_a_worker_is_cut_off_and_brought_back(spread: Ground, machines: Machines) -> None:
    """A worker's machine loses its network for two leases in the middle of a job."""
    ground, lease = spread, spread.lease
    # Long enough for a lease to run out, and for another beside it.
    documents, seconds = (1200, 0.1) if lease < 10 else (3000, 0.25)
    ground.mill.start("front", "dispatch")
    for name in _WORKERS:
        ground.worker(name, seconds=seconds)
    ground.submit(documents, shard_size=16)
    eventually(lambda: all(map(_holds_a_shard(ground), _WORKERS)), "all are at work")
    machines.cut_off("w1")
    ground.fault()
    held = ground.look("SELECT count(*) FROM shards WHERE state = 'running'")
    assert held >= len(_WORKERS)
    eventually(lambda: not _holds_a_shard(ground)("w1"), "others have its work", 3 * lease)
    ground.progress(100)
    machines.bring_back("w1")
    eventually(lambda: _holds_a_shard(ground)("w1"), "it works again", 3 * lease)
    ground.settle(patience=400, waste=64, in_turn=True)


def test_the_api_from_another_machine(spread: Ground, machines: Machines) -> None:
    """The API is served to a machine that has a token, and to none without."""
    mill = spread.mill
    assert isinstance(mill, SpreadMill)
    with mill.client() as client, client.database.transaction() as tx:
        token = tokens.create(tx, "user", ["read"])
    address = machines.addresses["front"]
    mill.start("front", "serve", "--host", address)
    url = f"http://{address}:8000/v1/jobs"
    eventually(lambda: "serves" in mill.log("front").read_text(), "it is served")
    assert _status(mill, url, token) == "200"
    assert _status(mill, url, "") == "401"
    assert _status(mill, url, "gm_other") == "401"


def _holds_a_shard(ground: Ground):  # type: ignore[no-untyped-def]
    """Whether a worker has one, by the pid that its row in SQL names."""

    def look(name: str) -> bool:
        pid = ground.mill.started(name).pid
        query = (
            "SELECT count(*) FROM shards JOIN workers ON leased_by = name "
            "WHERE state = 'running' AND pid = %s"
        )
        return bool(ground.look(query, pid))

    return look


def _status(mill: SpreadMill, url: str, token: str) -> str:
    ask = "import httpx, sys; print(httpx.get(sys.argv[1], headers=eval(sys.argv[2])).status_code)"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        return mill.on("user", sys.executable, "-P", "-c", ask, url, repr(headers)).strip()
    except subprocess.CalledProcessError as error:
        return str(error.stderr)

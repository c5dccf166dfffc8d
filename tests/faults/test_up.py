"""`gistmill up` and what runs under it, killed with a job in hand: it goes on, nothing is left."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.faults import servers
from tests.faults.engine import VARIABLE
from tests.faults.ground import Ground
from tests.mill import eventually

KILLS = 3
KILLS_OF_EACH = 2


@pytest.mark.timeout(300)
def test_up_killed(own_ground: Ground) -> None:
    """SIGKILL of `gistmill up`, several times: its children stop, the next one goes on."""
    ground = own_ground
    home = ground.mill.settings.home
    up = _up(ground)
    ground.submit(400, shard_size=16)
    for _ in range(KILLS):
        ground.progress(ground.dice.randint(1, 60))
        ground.kill(up.pid)
        up.wait()
        eventually(lambda: not servers.others(home), "all that it started is gone")
        up = _up(ground)
        ground.fault()
    ground.settle(waste=KILLS * 2 * 2 * 8, in_turn=True)
    up.terminate()
    assert up.wait(60) == 0
    assert not servers.others(home)


@pytest.mark.timeout(300)
def test_servers_killed_under_up(own_ground: Ground) -> None:
    """SIGKILL of the services process, PostgreSQL and Valkey under a running `up`."""
    ground = own_ground
    home = ground.mill.settings.home
    up = _up(ground)
    ground.submit(600, shard_size=16)
    # Work goes on while Valkey is down; with the services process PostgreSQL ends too.
    wasting = [servers.supervisor, servers.postmaster]
    kinds: list[Callable[[Path], int]] = [*wasting, servers.valkey]
    for find in ground.dice.sample(kinds * KILLS_OF_EACH, len(kinds) * KILLS_OF_EACH):
        _progress(ground, ground.dice.randint(1, 60))
        victim = find(home)
        ground.kill(victim)
        eventually(lambda pid=victim: not _lives(pid), "it is gone")  # type: ignore[misc]
        eventually(lambda: servers.answers(ground.mill.settings), "the servers are back")
        ground.fault()
    ground.settle(waste=len(wasting) * KILLS_OF_EACH * 2 * 8)
    assert up.poll() is None
    up.terminate()
    assert up.wait(60) == 0
    assert not servers.others(home)


def _up(ground: Ground) -> subprocess.Popen[bytes]:
    orders = {VARIABLE: ground.orders.model_dump_json()}
    return ground.mill.start("up", "up", "--workers", "2", module="tests.faults.up", **orders)


def _progress(ground: Ground, rows: int) -> None:
    """As `Ground.progress`, on a server that may be about to stop."""

    def stored() -> int:
        try:
            return ground.stored()
        except psycopg.OperationalError:
            return 0

    before = eventually(lambda: stored() + 1, "the database answers") - 1
    eventually(lambda: stored() >= min(before + rows, ground.ledger.documents), "progress")


def _lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()

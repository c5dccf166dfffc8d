"""PostgreSQL killed, and commits whose answer nobody hears: rows and counts stay right."""

import subprocess
from time import sleep

import pytest

from tests.faults import servers
from tests.faults.commands import SUBMIT, lines
from tests.faults.ground import Ground
from tests.faults.ledger import Entry
from tests.faults.proxy import Proxy
from tests.mill import GISTMILL, PATIENCE, eventually


@pytest.mark.timeout(300)
def test_postgres_killed(own_ground: Ground) -> None:
    """SIGKILL of PostgreSQL under load, its postmaster or a single backend, several times."""
    ground = own_ground
    ground.mill.dispatcher()
    workers = [ground.worker(name) for name in ("left", "right")]
    ground.submit(600, shard_size=16)
    for _ in range(5):
        ground.progress(ground.dice.randint(1, 40))
        eventually(lambda: _killed(ground), "one of them is killed")
        eventually(lambda: servers.answers(ground.mill.settings), "it is back")
        ground.fault()
    ground.settle(waste=5 * 2 * 2 * 8)
    assert [worker.poll() for worker in workers] == [None, None]


def test_commits_without_an_answer(ground: Ground) -> None:
    """COMMITs of a worker's stores that succeed while it sees an error, again and again."""
    ground.mill.dispatcher()
    with servers.postgres_by_proxy(ground) as proxy:
        worker = ground.worker()
        ground.submit(400, shard_size=16)
        for _ in range(8):
            ground.progress(ground.dice.randint(1, 24))
            proxy.swallow_answer_to(b"COMMIT", after=b"INSERT INTO summaries")
            assert proxy.swallowed.wait(PATIENCE)
            ground.fault()
        ground.settle(waste=8 * 2 * 8)
        assert worker.poll() is None
        ground.mill.stop()


def test_stores_without_an_answer(ground: Ground) -> None:
    """A worker loses the database as often as it stores one and the same batch: nobody has died."""
    ground.mill.dispatcher()
    with servers.postgres_by_proxy(ground) as proxy:
        worker = ground.worker()
        ground.submit(64, shard_size=64)
        for _ in range(4):
            proxy.swallow_answer_to(b"INSERT INTO summaries")
            assert proxy.swallowed.wait(PATIENCE)
            ground.fault()
        ground.settle(waste=4 * 2 * 8)
        assert worker.poll() is None
        ground.mill.stop()


@pytest.mark.timeout(300)
def test_postgres_blackholed(ground: Ground) -> None:
    """PostgreSQL blackholed for more than two leases in mid-job, twice: all resume unaided."""
    ground.mill.dispatcher()
    with servers.postgres_by_proxy(ground) as proxy:
        workers = [ground.worker(name) for name in ("left", "right")]
        ground.submit(600, shard_size=16)
        for _ in range(2):
            ground.progress(ground.dice.randint(1, 40))
            ground.busy()
            proxy.block()
            # Not an event: nothing may happen meanwhile.
            sleep(2 * ground.lease + 1)
            proxy.unblock()
            ground.fault()
        ground.settle(waste=2 * 2 * 2 * 8)
        assert [worker.poll() for worker in workers] == [None, None]
        ground.mill.stop()


def test_submission_without_an_answer(ground: Ground) -> None:
    """A submission's COMMIT succeeds while it sees an error: its key finds the job."""
    with servers.postgres_by_proxy(ground) as proxy:
        submissions = {}
        for key in ("one", None):
            words = ["--idempotency-key", key] if key else []
            entries = ground.ledger.write(20)
            _submit_in_vain(ground, proxy, words, entries)
            query = "SELECT id FROM jobs WHERE idempotency_key IS NOT DISTINCT FROM %s"
            job_id = ground.look(query, key)
            ground.ledger.submitted(job_id, entries)
            submissions[key] = (job_id, entries)
    job_id, entries = submissions["one"]
    again = ground.mill.command(*SUBMIT, "--idempotency-key", "one", stdin=lines(entries))
    assert again.stdout.strip() == job_id
    ground.mill.dispatcher()
    ground.worker()
    ground.fault()
    ground.settle(waste=0)


def _submit_in_vain(ground: Ground, proxy: Proxy, words: list[str], entries: list[Entry]) -> None:
    """Have the answer to its COMMIT swallowed, which is armed while it reads its input."""
    submission = subprocess.Popen(
        [*GISTMILL, *SUBMIT, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ground.mill.environment(),
    )
    reads = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name = 'gistmill' AND state = 'idle in transaction' "
        "AND query LIKE 'INSERT INTO jobs%%'"
    )
    eventually(lambda: ground.look(reads), "it reads its input")
    proxy.swallow_answer_to(b"COMMIT")
    out, err = submission.communicate(lines(entries), timeout=PATIENCE)
    assert proxy.swallowed.is_set()
    assert (submission.returncode, out) == (5, "")
    (line,) = err.splitlines()
    assert "does not answer" in line


def _killed(ground: Ground) -> bool:
    """The postmaster or a backend; False where that ended by itself in the meantime."""
    postmaster = servers.postmaster(ground.mill.settings.home)
    backend = ground.dice.choice(servers.backends(postmaster))
    try:
        ground.kill(ground.dice.choice([postmaster, backend]))
    except ProcessLookupError:
        return False
    return True

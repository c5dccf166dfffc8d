"""Workers that are killed, stopped, asked to stop, or far away in time."""

import os
import signal
from pathlib import Path

import pytest

from jobs import messages
from jobs.broker import make_app
from jobs.states import SHARD_LEASABLE
from tests.faults.ground import HELD, RECOVERY, Ground
from tests.mill import eventually, pool_child


@pytest.mark.short
def test_child_killed_while_it_generates(ground: Ground) -> None:
    """SIGKILL of the pool child in the middle of a batch."""
    ground.mill.dispatcher()
    worker = ground.worker()
    ground.submit(64)
    for _ in range(3):
        ground.progress(8)
        ground.busy()
        ground.kill_child(worker)
    ground.settle()
    assert worker.poll() is None


def test_child_killed_between_parts(ground: Ground) -> None:
    """SIGKILL of the pool child while it does long documents in parts."""
    ground.mill.dispatcher()
    worker = ground.worker()
    # Each line is a part; what six come to is two, and what these do is one.
    ground.submit(16, lines=6, long_documents="map-reduce", max_input_tokens=7)
    for _ in range(3):
        ground.busy(24)
        ground.kill_child(worker)
    more = 16 * (6 + 2 + 1 - 1)  # items than there are documents
    # No row is stored before all parts of a document are done.
    slow = 2 * (ground.lease + RECOVERY)
    ground.settle(waste=more + 2 * ground.orders.batch * ground.kills, recovery=slow)
    assert ground.look("SELECT max(depth) FROM summaries") == 2
    assert ground.look("SELECT count(*) FROM parts") == 0


def test_child_killed_between_copies(ground: Ground) -> None:
    """SIGKILL of the pool child and of the worker while it does each text once for many shards."""
    ground.mill.dispatcher()
    worker = ground.worker(seconds=0.05)
    for _ in range(2):
        ground.submit(120, shard_size=8, texts=40)
    for _ in range(2):
        ground.progress(8)
        ground.busy()
        ground.kill_child(worker)
    ground.progress(8)
    ground.busy()
    ground.kill_worker(worker)
    ground.worker("next", seconds=0.05)
    # All shards of a window were in hand, and are done one by one then.
    ground.settle(in_turn=True)
    made = ground.look("SELECT sum(completed - reused)::int8 FROM jobs")
    assert 2 * 40 <= made <= ground.ended(), "what is not reused was generated"


def test_child_killed_while_the_model_loads(ground: Ground) -> None:
    """SIGKILL of the pool child while the model loads, twice."""
    ground.mill.dispatcher()
    worker = ground.worker(load_seconds=3)
    ground.submit(16)
    for attempt in (1, 2):
        _until_attempt(ground, attempt)
        ground.kill_child(worker)
    ground.settle()
    assert worker.poll() is None


def test_worker_killed_again_and_again(ground: Ground) -> None:
    """SIGKILL of the workers' main processes, repeatedly, under load."""
    ground.mill.dispatcher()
    workers = {name: ground.worker(name) for name in ("left", "right")}
    for _ in range(4):
        ground.submit(ground.dice.randint(20, 120), shard_size=ground.dice.choice([4, 16, 64]))
    for _ in range(6):
        ground.progress(ground.dice.randint(1, 24))
        name = ground.dice.choice(sorted(workers))
        ground.kill_worker(workers[name])
        workers[name] = ground.worker(name)
    ground.settle()


def test_worker_killed_before_it_acknowledges(ground: Ground) -> None:
    """SIGKILL after the commit, before the acknowledgement."""
    ground.mill.dispatcher()
    worker = ground.worker(dies_after_commit=2)
    ground.submit(16, shard_size=16)
    for _ in range(2):
        worker.wait(60)
        ground.kills += 1
        assert ground.look("SELECT count(*) FROM shards WHERE state <> 'done'") == 0
        assert ground.deliver_again() == 1
        ground.submit(16, shard_size=16)
        ground.fault()
        worker = ground.worker(dies_after_commit=2)
    ground.settle(waste=0)


def test_worker_stopped_for_longer_than_its_lease(ground: Ground) -> None:
    """SIGSTOP past the lease, another worker finishes, SIGCONT: the stale commit changes no row."""
    ground.mill.dispatcher()
    stale = ground.worker("stale", seconds=0.3)
    ground.submit(48, shard_size=48)
    ground.progress(8)
    ground.busy()
    child = pool_child(stale)
    for pid in (stale.pid, child):
        os.kill(pid, signal.SIGSTOP)
    ground.fault()
    ground.worker("heir")
    eventually(lambda: ground.stored() == 48, "the heir has done it all")
    for pid in (child, stale.pid):
        os.kill(pid, signal.SIGCONT)
    log = ground.mill.log("stale")
    eventually(lambda: "the batch is dropped" in log.read_text(), "it has tried to store")
    ground.settle(waste=16)


@pytest.mark.timeout(300)
def test_worker_stopped_in_a_store(ground: Ground, tmp_path: Path) -> None:
    """SIGSTOP of a worker in the middle of a store, which holds what every other store needs."""
    mark = tmp_path / "stopped-in-store"
    ground.mill.dispatcher()
    ground.worker("stopping", module="tests.faults.stopping")
    ground.submit(200, shard_size=16)
    eventually(mark.exists, "it stops")
    ground.fault()
    ground.worker()
    ground.progress(100)
    os.kill(int(mark.read_text()), signal.SIGCONT)
    ground.settle(waste=2 * 8, recovery=HELD + ground.lease + RECOVERY)


def test_model_that_loads_for_long(ground: Ground) -> None:
    """A model that loads for 30 s, five leases long, after a respawn."""
    ground.mill.dispatcher()
    worker = ground.worker(load_seconds=30)
    ground.submit(24)
    ground.progress(8)
    ground.kill_child(worker)
    ground.settle(recovery=30 + ground.lease + 15)
    assert worker.poll() is None


def test_worker_asked_to_stop(ground: Ground) -> None:
    """SIGTERM in mid-task: drained within 20 s, the rest back at once, exit 0."""
    ground.mill.dispatcher()
    worker = ground.worker(seconds=0.1)
    ground.submit(64, shard_size=64)
    ground.progress(8)
    worker.terminate()
    assert worker.wait(20) == 0
    left = "SELECT state FROM shards WHERE leased_by IS NULL AND deaths = 0"
    assert ground.look(left) in SHARD_LEASABLE
    ground.fault()
    ground.worker("next")
    ground.settle(waste=0)


def test_worker_asked_to_stop_in_a_long_batch(ground: Ground) -> None:
    """SIGTERM in a batch that lasts longer than the drain: back all the same, exit 0."""
    ground.mill.dispatcher()
    worker = ground.worker(seconds=5)
    ground.submit(16)
    ground.busy()
    worker.terminate()
    assert worker.wait(20) == 0
    assert ground.look("SELECT sum(deaths) FROM shards") == 0
    ground.fault()
    ground.worker("next")
    ground.settle(waste=8)


def test_two_versions_side_by_side(ground: Ground) -> None:
    """Workers that speak another version of the messages drop what they do not know."""
    ground.mill.dispatcher()
    log = ground.mill.log("newer")
    ground.worker("newer", speaks=2)
    ground.submit(64, shard_size=8)
    eventually(lambda: "not of version" in log.read_text(), "a message is dropped")
    ground.fault()
    ground.worker("older")
    ground.settle(waste=0)


def test_a_task_that_nobody_knows(ground: Ground) -> None:
    """A task of a version to come is dropped; the worker lives."""
    url, timings = ground.mill.settings.broker_url, ground.mill.settings.timings
    assert url
    with make_app(url, timings) as app:
        for name in ("gistmill.future", messages.SUMMARIZE):
            app.send_task(name, kwargs={"v": 9, "more": "than is known"}, queue=messages.QUEUE)
    ground.mill.dispatcher()
    worker = ground.worker()
    ground.submit(16)
    ground.settle(waste=0)
    assert ground.mill.log("worker").read_text().count("a message is dropped") == 2
    assert worker.poll() is None


def _until_attempt(ground: Ground, number: int) -> None:
    query = "SELECT max(attempt) FROM shards WHERE state = 'running'"
    eventually(lambda: ground.look(query) == number, f"attempt {number}")

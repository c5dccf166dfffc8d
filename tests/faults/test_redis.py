"""A Redis that forgets, doubles, is silent, or refuses: work goes on, and no worker ends of it."""

import json
import subprocess
from collections.abc import Callable
from time import monotonic, sleep, time

import pytest
import redis

from tests.faults import servers
from tests.faults.commands import SUBMIT, lines
from tests.faults.ground import Ground
from tests.faults.proxy import Proxy
from tests.mill import eventually, pool_child

# Two models in turn, so that tasks are short and Redis is asked for the next one all the time.
_BUSY = pytest.mark.timings(slice=0.5)
_MODELS = ("lead-1", "lead-2")


@pytest.mark.short
@_BUSY
def test_connections_killed(ground: Ground) -> None:
    """CLIENT KILL during a task, its message delivered again: one commit wins."""
    processes = _start(ground)
    _submit(ground, 80)
    for _ in range(3):
        ground.progress(ground.dice.randint(1, 8))
        ground.busy()
        _kill_connections(ground)
        ground.deliver_again()
        ground.fault()
    _see_each_work_again(ground, processes[1:])
    ground.settle(waste=0)
    _see_unharmed(ground, *processes)


@pytest.mark.timings(visibility=2)
def test_visibility_shorter_than_the_task(ground: Ground) -> None:
    """A visibility timeout shorter than the task."""
    processes = _start(ground, "first", seconds=0.1)
    for name in ("second", "third"):
        ground.submit(160, shard_size=160)
        ground.progress(ground.dice.randint(24, 40))
        # Who has just connected looks for messages that were taken too long ago.
        processes.append(ground.worker(name, seconds=0.1))
        ground.fault()
        eventually(lambda: _delivered_again(ground), "a message is delivered again")
    ground.settle(waste=0)
    _see_unharmed(ground, *processes)


@_BUSY
def test_redis_killed_and_flushed(own_ground: Ground) -> None:
    """Redis flushed and killed in mid-job, again and again."""
    ground = own_ground
    processes = _start(ground)
    _submit(ground, 250)
    for _ in range(4):
        ground.progress(ground.dice.randint(1, 40))
        ground.busy()
        with ground.redis() as server:
            pid = server.info("server")["process_id"]
            server.flushall()
        ground.kill(pid)
    _see_each_work_again(ground, processes[1:])
    ground.settle(waste=0)
    _see_unharmed(ground, *processes)


@pytest.mark.timeout(300)
@_BUSY
def test_redis_blackholed(ground: Ground) -> None:
    """Redis blackholed for two minutes: all resume unaided."""
    _see_blackhole_survived(ground, 120, Proxy.unblock)


# This process is a producer too, and has an open connection.
@pytest.mark.filterwarnings("ignore::producer.client.NobodyWorks")
@_BUSY
def test_redis_forgets_its_connections(ground: Ground) -> None:
    """Redis blackholed for 20 s, and connections that were open stay silent for ever."""
    _see_blackhole_survived(ground, 20, Proxy.forget)


@pytest.mark.timings(slice=0.5, drain=15)
@pytest.mark.parametrize(
    ("seconds", "waste"), [(0.05, 0), (2.5, 2 * 8)], ids=["short", "beyond-the-drain"]
)
def test_worker_asked_to_stop_while_redis_is_silent(
    ground: Ground, seconds: float, waste: int
) -> None:
    """SIGTERM of workers while Redis is blackholed: the rest back at once, exit 0."""
    with servers.redis_by_proxy(ground) as proxy:
        dispatcher, *workers = _start(ground, seconds=seconds)
        _submit(ground, 64)
        eventually(lambda: ground.begun() >= 16, "both have a batch in hand")
        proxy.block()
        for worker in workers:
            worker.terminate()
        assert [worker.wait(20) for worker in workers] == [0, 0]
        assert ground.look("SELECT count(*) FROM shards WHERE leased_by IS NOT NULL") == 0
        assert ground.look("SELECT sum(deaths) FROM shards") == 0
        proxy.unblock()
        ground.fault()
        heir = ground.worker("heir")
        ground.settle(waste=waste)
        _see_unharmed(ground, dispatcher, heir)


def _see_blackhole_survived(ground: Ground, seconds: float, end: Callable[[Proxy], None]) -> None:
    with servers.redis_by_proxy(ground) as proxy:
        processes = _start(ground)
        _submit(ground, 96)
        ground.progress(ground.dice.randint(1, 40))
        ground.busy()
        ends = monotonic() + seconds
        proxy.block()
        _submit_by_command(ground, 32)
        assert monotonic() < ends, "accepted while Redis is silent"
        sleep(ends - monotonic())
        end(proxy)
        ground.fault()
        _submit(ground, 32)
        _see_each_work_again(ground, processes[1:])
        ground.settle(waste=0)
        _see_unharmed(ground, *processes)


@_BUSY
def test_redis_read_only(own_ground: Ground) -> None:
    """Redis answers READONLY, twice."""

    def refuse(server: redis.Redis) -> None:
        server.replicaof("127.0.0.1", 1)

    def accept(server: redis.Redis) -> None:
        server.replicaof("NO", "ONE")

    _see_refusals_survived(own_ground, "READONLY", refuse, accept)


@_BUSY
def test_redis_out_of_memory(own_ground: Ground) -> None:
    """Redis answers that it is out of memory, twice."""

    def refuse(server: redis.Redis) -> None:
        server.config_set("maxmemory", "1mb")

    def accept(server: redis.Redis) -> None:
        server.config_set("maxmemory", "0")

    _see_refusals_survived(own_ground, "OOM", refuse, accept)


def _see_refusals_survived(
    ground: Ground,
    error: str,
    refuse: Callable[[redis.Redis], None],
    accept: Callable[[redis.Redis], None],
) -> None:
    """`error` is what a refusal begins with."""
    processes = _start(ground)
    _submit(ground, 150)
    for _ in range(2):
        ground.progress(ground.dice.randint(1, 40))
        ground.busy()
        with ground.redis() as server:
            server.config_resetstat()
            refuse(server)
            sleep(ground.dice.uniform(4, 8))
            assert server.info("errorstats")[f"errorstat_{error}"]["count"] > 0
            accept(server)
        ground.fault()
    _see_each_work_again(ground, processes[1:])
    ground.settle(waste=0)
    _see_unharmed(ground, *processes)


def _see_each_work_again(ground: Ground, workers: list[subprocess.Popen[bytes]]) -> None:
    """None of them stays deaf, however long there is work."""
    # What was in hand is over by then.
    since = time() + ground.mill.settings.timings.slice + 1

    def all_work() -> bool:
        if ground.stored() == ground.ledger.documents:
            _submit(ground, 16)
        return set(map(pool_child, workers)) <= _writers(ground, since)

    eventually(all_work, "each worker works again")


def _writers(ground: Ground, since: float) -> set[int]:
    """The processes that wrote into the diary since then."""
    written = map(json.loads, ground.orders.diary.read_text().splitlines())
    return {line["pid"] for line in written if line["at"] > since}


def _start(ground: Ground, *names: str, seconds: float = 0.05) -> list[subprocess.Popen[bytes]]:
    """A dispatcher, and workers."""
    workers = [ground.worker(name, seconds=seconds) for name in names or ("left", "right")]
    return [ground.mill.dispatcher(), *workers]


def _submit(ground: Ground, count: int) -> None:
    """So many documents for each model."""
    for model in _MODELS:
        ground.submit(count, model=model)


def _kill_connections(ground: Ground) -> None:
    with ground.redis() as server:
        for kind in ("normal", "pubsub"):
            server.client_kill_filter(_type=kind, skipme=True)


def _delivered_again(ground: Ground) -> bool:
    """Whether a message is on its way that kombu took back from who has it in hand."""
    with ground.redis() as server:
        waiting = server.lrange("gistmill:gistmill", 0, -1)
        in_hand = [json.loads(kept)[0] for kept in server.hvals("gistmill:unacked")]
    messages = [*map(json.loads, waiting), *in_hand]
    return any(message["headers"].get("redelivered") for message in messages)


def _submit_by_command(ground: Ground, count: int) -> None:
    entries = ground.ledger.write(count)
    ended = ground.mill.command(*SUBMIT, stdin=lines(entries))
    assert "the job is accepted" in ended.stderr
    ground.ledger.submitted(ended.stdout.strip(), entries)


def _see_unharmed(ground: Ground, *processes: subprocess.Popen[bytes]) -> None:
    assert [process.poll() for process in processes] == [None] * len(processes)
    assert "Traceback" not in ground.mill.logs()

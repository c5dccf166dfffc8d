"""`gistmill up`: the whole mill under one command, on services of its own; nothing is left."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from jobs.settings import Settings
from producer.api import listening
from tests.conftest import TIMINGS
from tests.mill import (
    GISTMILL,
    PATIENCE,
    Mill,
    children,
    eventually,
    mentioning,
    running,
    sentences,
)


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Mill]:
    """A mill on embedded services, in a home of its own."""
    home = Path(tempfile.mkdtemp(prefix="gm"))
    logs = tmp_path / "logs"
    logs.mkdir()
    mill = Mill(Settings(home=home, timings=TIMINGS), logs)
    yield mill
    mill.stop()
    eventually(lambda: not mentioning(str(home)), "every process of the home is gone")
    shutil.rmtree(home)


def test_up_and_down(alone: Mill) -> None:
    up = _up(alone)
    _does_a_job(alone)
    os.killpg(up.pid, signal.SIGINT)
    assert up.wait(PATIENCE) == 0
    assert mentioning(str(alone.settings.home)) == [], "the services have gone as well"
    log = alone.log("up").read_text()
    for noise in ("superuser", "[config]", "Traceback", "Warning", "Warm"):
        assert noise not in log
    hint, *lines = log.splitlines()
    assert hint.startswith("gistmill is up")
    events = [json.loads(line) for line in lines]
    assert {event.get("process") for event in events} == {
        *("worker-1", "worker-2", "dispatch", "serve", None)
    }
    [stopping] = [event for event in events if "process" not in event]
    assert stopping["event"].startswith("stopping; workers finish the batch in hand")
    last = [event.get("process") for event in events[events.index(stopping) :]]
    assert "worker-1" in last, "workers say that they were asked to"


def test_up_on_a_terminal(configured: Settings, tmp_path: Path) -> None:
    """A person reads it: children's lines behind their names, no JSON."""
    mill = Mill(configured, tmp_path)
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        up = subprocess.Popen(
            [*GISTMILL, "up", "--workers", "1"],
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            env=mill.environment(),
            start_new_session=True,
        )
        os.close(theirs)
        seen = b""
        while not (b"worker is ready" in seen and b"dispatcher is ready" in seen):
            seen += screen.read(4096)
        os.killpg(up.pid, signal.SIGINT)
        with suppress(OSError):  # how a terminal says that nobody writes to it any more
            while more := screen.read(4096):
                seen += more
        assert up.wait(PATIENCE) == 0
    lines = seen.decode().splitlines()
    assert "stopping; workers finish the batch in hand (Ctrl-C again kills)" in lines
    for line in lines:
        said = r"(worker-1|dispatch|serve +) \| \d\d:\d\d:\d\d \[\w+ *\] \w.*"
        assert re.fullmatch(said, line) or line.startswith(("gistmill is up", "stopping; "))


def test_what_dies_comes_back(alone: Mill) -> None:
    up = _up(alone)
    _does_a_job(alone)
    before = children(up.pid)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: len(set(children(up.pid)) - set(before)) == len(before), "all are back")
    _does_a_job(alone)
    (services,) = _services(alone)
    os.kill(services, signal.SIGKILL)
    back = "the embedded services had died; they are started again"
    eventually(lambda: back in alone.log("up").read_text(), "the services are started again")
    _does_a_job(alone)


def test_up_without_http_where_its_port_is_taken(configured: Settings, tmp_path: Path) -> None:
    """One line, and the mill works without."""
    mill = Mill(configured, tmp_path)
    with listening.listen("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        try:
            up = _up(mill, GISTMILL_UP_PORT=port)
            eventually(lambda: "dispatcher is ready" in mill.log("up").read_text(), "it works")
            os.killpg(up.pid, signal.SIGINT)
            assert up.wait(PATIENCE) == 0, mill.logs()
        finally:
            mill.stop()
    warning, hint, *lines = mill.log("up").read_text().splitlines()
    assert warning.startswith(f"warning: no HTTP: can not listen on 127.0.0.1:{port}: ")
    assert hint.startswith("gistmill is up; ")
    assert "serve" not in {json.loads(line).get("process") for line in lines}


def test_a_killed_up_leaves_nothing(alone: Mill) -> None:
    up = _up(alone)
    _does_a_job(alone)
    os.kill(up.pid, signal.SIGKILL)
    eventually(lambda: not mentioning(str(alone.settings.home)), "all follow")


def test_up_twice(alone: Mill) -> None:
    """Any number of dispatchers and workers may run; the second is told."""
    _up(alone)
    _does_a_job(alone)
    assert "alive already" not in alone.log("up").read_text()
    _up(alone, "again")
    assert "worker(s) of this mill are alive already" in alone.log("again").read_text()
    _does_a_job(alone)


def test_up_needs_no_home_where_nothing_is_embedded(configured: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    nowhere = configured.model_copy(update={"home": tmp_path / "file" / "home"})
    mill = Mill(nowhere, tmp_path)
    try:
        up = _up(mill)
        os.killpg(up.pid, signal.SIGINT)
        assert up.wait(PATIENCE) == 0, mill.logs()
    finally:
        mill.stop()


def test_workers_that_share_the_cpu(mill: Mill) -> None:
    """Two workers under one command, each with its share of the cores; Ctrl-C stops both."""
    words = ("worker", "--device", "cpu", "--workers", "2")
    both = mill.start("worker", *words, OMP_NUM_THREADS="")
    eventually(lambda: _ready(mill) == {"cpu-1", "cpu-2"}, "both are ready")
    share = f"OMP_NUM_THREADS={max(1, len(os.sched_getaffinity(0)) // 2)}".encode()
    for pid in children(both.pid):
        assert share in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    os.killpg(both.pid, signal.SIGINT)
    assert both.wait(PATIENCE) == 0


def _ready(mill: Mill) -> set[str]:
    said = [line for line in mill.log("worker").read_text().splitlines() if "is ready" in line]
    return {json.loads(line)["process"] for line in said}


def _up(mill: Mill, name: str = "up", **more: str) -> subprocess.Popen[bytes]:
    up = mill.start(name, "up", "--workers", "2", **more)
    eventually(lambda: "gistmill is up" in mill.log(name).read_text(), "it is up")
    return up


def _services(mill: Mill) -> list[int]:
    return sorted(set(running("jobs.services")) & set(running(str(mill.settings.home))))


def _does_a_job(mill: Mill) -> None:
    lines = "\n".join(sentences(40))
    words = ["submit", "-", "--lines", "--model", "lead-1", "--shard-size", "7", "-q"]
    job_id = mill.command(*words, stdin=lines).stdout.strip()
    mill.command("wait", job_id, "-q")
    assert len(mill.command("results", job_id).stdout.splitlines()) == 40

"""A mill of a benchmark's own: embedded services under a fresh home, and real processes.

Whatever is started here is stopped at the end, by its process id, and the home
is deleted. Also what memory and processor time each process of it takes. Measures nothing else.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from jobs import services, settings
from jobs.settings import Settings
from producer.client import Client

_PATIENCE = 60.0
_MIB = 1024.0


class OwnMill:
    """A client and the processes that work for it, none at first."""

    def __init__(self, configured: Settings) -> None:
        self.settings = configured
        self.client = Client(settings=configured)
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *words: str, **more: str) -> subprocess.Popen[bytes]:
        """Start `gistmill WORDS` and wait until it is ready; `more` are variables for it."""
        log = self._log(name)
        with log.open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "gistmill", *words],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=settings.child_environment(self.settings, HF_HUB_OFFLINE="1", **more),
                start_new_session=True,
            )
        self._running[name] = process
        ends = monotonic() + _PATIENCE
        while "is ready" not in log.read_text():
            if process.poll() is not None or monotonic() > ends:
                raise SystemExit(f"{name} did not come up:\n{log.read_text()}")
            sleep(0.1)
        return process

    def dispatcher(self) -> None:
        self.start("dispatcher", "dispatch")

    def worker(self, number: int = 1, **more: str) -> None:
        self.start(f"worker {number}", "worker", "--device", "cpu", **more)

    def stop(self) -> None:
        """Ask every process to end, and wait until it has."""
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self._running.clear()

    def memory(self) -> dict[str, float]:
        """Proportional set size in MiB of each process and its children, by name.

        PostgreSQL is all its processes together, the pages that they share counted once.
        """
        return {name: _pss(pids) for name, pids in self._pids().items()}

    def processor_seconds(self) -> dict[str, float]:
        """What each of them that still runs has taken, by the same names."""
        return {name: sum(map(_seconds_of, pids)) for name, pids in self._pids().items()}

    def _pids(self) -> dict[str, list[int]]:
        below = _children()
        found = {}
        for name, process in self._running.items():
            found[name] = [process.pid]
            if children := _descendants(below, process.pid):
                found[f"{name}, pool child"] = children
        for name, program in (("PostgreSQL", b"/postgres\0-D"), ("Redis", b"valkey-server")):
            roots = _processes(program, bytes(self.settings.home))
            family = {pid for root in roots for pid in (root, *_descendants(below, root))}
            found[name] = sorted(family)
        return found

    def _log(self, name: str) -> Path:
        return self.settings.home / f"{name}.log"


@contextmanager
def own_mill(**of_settings: object) -> Iterator[OwnMill]:
    """A mill under a home of its own, which is gone at the end, also where SIGTERM ends us."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(prefix="gm") as folder:
        home = Path(folder)
        home.chmod(0o755)  # where PostgreSQL runs as nobody, it must be able to enter
        mill = OwnMill(Settings(home=home, **of_settings))  # type: ignore[arg-type]
        try:
            yield mill
        finally:
            mill.stop()
            mill.client.close()
            if not services.wait_stopped(home, _PATIENCE):
                raise SystemExit(f"the services of {home} do not stop")


def _processes(*texts: bytes) -> list[int]:
    """The processes whose command line holds all of `texts`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            where = bytes((folder / "cwd").readlink())
        except OSError:  # it has just ended
            continue
        if texts[0] in command and texts[-1] in command + where:
            found.append(int(folder.name))
    return found


def _children() -> dict[int, list[int]]:
    """By the id of their parent."""
    found = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        # After the name, which stands in brackets and may hold anything.
        found[int(text.rpartition(")")[2].split()[1])].append(int(stat.parent.name))
    return found


def _descendants(children: dict[int, list[int]], pid: int) -> list[int]:
    return [
        found
        for child in children.get(pid, [])
        for found in (child, *_descendants(children, child))
    ]


def _pss(pids: list[int]) -> float:
    return sum(_pss_of(pid) for pid in pids) / _MIB


def _seconds_of(pid: int) -> float:
    """User and system time; 0 for a process that has just ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def _pss_of(pid: int) -> float:
    """In KiB; 0 for a process that has just ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((float(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)

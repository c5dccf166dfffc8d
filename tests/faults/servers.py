"""The embedded servers of a home as processes, found by what the kernel knows of them."""

import json
from pathlib import Path

from jobs import services
from jobs.services import places
from jobs.settings import Settings
from tests.mill import children, mentioning, running


def supervisor(home: Path) -> int:
    """The services process."""
    (found,) = set(running("jobs.services")) & set(running(str(home)))
    return found


def postmaster(home: Path) -> int:
    return _one(home, b"/postgres")


def valkey(home: Path) -> int:
    return _one(home, b"/valkey-server")


def backends(pid: int) -> list[int]:
    """The processes of a postmaster's that serve gistmill's connections."""
    return [child for child in children(pid) if b"gistmill postgres" in _command(child)]


def answers(settings: Settings) -> bool:
    """Whether both servers do, where they said last that they are. `services.connect` would
    start what is down."""
    written = places.of(settings.home).urls
    return written.exists() and services.answer(**json.loads(written.read_text()))


def others(home: Path) -> list[int]:
    """The processes of a home that are none of its servers'."""
    of_servers = _tree(supervisor(home))
    return [pid for pid in mentioning(str(home)) if pid not in of_servers]


def _tree(pid: int) -> set[int]:
    try:
        below = children(pid)
    except OSError:  # it has just ended
        below = []
    return {pid}.union(*map(_tree, below))


def _one(home: Path, program: bytes) -> int:
    """The child of the services process that runs `program`."""
    (found,) = [pid for pid in children(supervisor(home)) if program in _command(pid)]
    return found


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has just ended
        return b""

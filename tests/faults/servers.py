"""The embedded servers of a home as processes, found by what the kernel knows of them, and the
servers of a ground behind a proxy."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from jobs import services
from jobs.services import places
from jobs.settings import Settings
from tests.faults.ground import Ground
from tests.faults.proxy import Proxy
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


@contextmanager
def postgres_by_proxy(ground: Ground) -> Iterator[Proxy]:
    """What is started in this context reaches PostgreSQL by the proxy; the dispatcher, started
    before, and the test do not."""
    direct = ground.mill.settings
    assert direct.database_url
    server, _, folder = direct.database_url.partition("?host=")
    with Proxy(Path(folder) / ".s.PGSQL.5432") as proxy:
        behind = server.replace("@/", f"@127.0.0.1:{proxy.port}/") + "?sslmode=disable"
        ground.mill.settings = direct.model_copy(update={"database_url": behind})
        yield proxy
    ground.mill.settings = direct


@contextmanager
def redis_by_proxy(ground: Ground) -> Iterator[Proxy]:
    """Have all processes reach Redis by a proxy, which outlives them."""
    parts = urlsplit(ground.broker_url)
    number = parts.query.removeprefix("virtual_host=")
    with Proxy(Path(parts.path)) as proxy:
        url = f"redis://:{parts.password}@127.0.0.1:{proxy.port}/{number}"
        ground.mill.settings = ground.mill.settings.model_copy(update={"broker_url": url})
        yield proxy
        ground.mill.stop()


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

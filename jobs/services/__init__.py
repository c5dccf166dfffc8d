"""Embedded PostgreSQL and Valkey, for a machine that has neither, and URLs for one that has.

One detached *services* process for a home runs both servers for as long as it
has clients. A client holds a shared lock on a file; the kernel drops it however
the client ends, so a SIGKILLed client neither keeps the services for ever nor
takes them from others. Nothing here believes a pid file: a server is up when it
answers.

    __init__     what a client does: hold, start, wait for an answer
    __main__     the services process: elected by a lock, keeps both servers up
    postgres     how PostgreSQL is made and started
    valkey       how Valkey is configured and started
    places       where files, sockets and binaries lie
"""

import json
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep
from urllib.parse import urlsplit

import psycopg
import redis
from redis.exceptions import RedisError

from jobs import exposure, logs
from jobs.errors import Unreachable
from jobs.services import locks, places, postgres
from jobs.services.places import Places
from jobs.settings import Settings

_LOOK = 0.05
# The services take the clients' lock for a moment to see whether it is free, which one look may
# mistake for a client that has it.
_LOOKS = 5
# A services process that ends at once, so many times in a row, will not come up.
_STARTS = 3
# So that one that ends at once is not started many times a second.
_RESTART_SECONDS = 5.0


class _Hold:
    """This process's part in the embedded services of a home: they run for as long as it lasts."""

    def __init__(self, here: Places, linger: float, lock: locks.Lock) -> None:
        self._here = here
        self._linger = linger
        self._lock = lock
        self._not_before = 0.0

    def keep_up(self) -> bool:
        if monotonic() < self._not_before or not locks.is_free(self._here.supervisor_lock):
            return False
        self._not_before = monotonic() + _RESTART_SECONDS
        _start(self._here, self._linger)
        return True

    def release(self) -> None:
        self._lock.release()


class Endpoints:
    """Where database and broker answer, and this process's hold on the embedded ones."""

    def __init__(
        self,
        database_url: str,
        broker_url: str,
        *,
        embedded_database: bool,
        hold: _Hold | None,
    ) -> None:
        self.database_url = database_url
        self.broker_url = broker_url
        self.embedded_database = embedded_database
        """Whether the caller migrates it without being asked."""
        self._hold = hold

    @property
    def embedded(self) -> bool:
        """Whether this process needs the embedded services."""
        return self._hold is not None

    def keep_up(self) -> bool:
        """Start the embedded services again if their process has died; whether it had.

        For whoever lives long, to call now and then; it costs next to nothing.
        """
        return self._hold is not None and self._hold.keep_up()

    def release(self) -> None:
        """Let go of the embedded services, if this process holds them. May be called twice."""
        if self._hold is not None:
            self._hold.release()


def connect(settings: Settings) -> Endpoints:
    """The URLs to work with, each decided alone: the one that is set, else the embedded one.

    Raises UsageError where the embedded servers are needed and can not run here, and where
    a URL would expose what it carries and no setting allows that; Unreachable where the
    embedded servers do not come up.
    """
    exposure.check(settings)
    if settings.database_url and settings.broker_url:
        return Endpoints(
            settings.database_url, settings.broker_url, embedded_database=False, hold=None
        )
    places.check_installed()
    here = places.of(settings.home)
    ends = monotonic() + settings.timings.services_start
    linger = settings.timings.services_linger
    hold = _Hold(here, linger, _lock(here, ends))
    try:
        urls = _started(here, linger, ends)
    except BaseException:
        hold.release()
        raise
    return Endpoints(
        settings.database_url or urls["database_url"],
        settings.broker_url or urls["broker_url"],
        embedded_database=not settings.database_url,
        hold=hold,
    )


def wait_stopped(home: Path, timeout: float) -> bool:
    """Wait until the services of `home` are gone; False where somebody else holds them."""
    here = places.of(home)
    ends = monotonic() + timeout
    held = 0  # so many looks in a row
    while monotonic() < ends and held < _LOOKS:
        if locks.is_free(here.supervisor_lock):
            return True
        held = held + 1 if locks.is_shared(here.clients_lock) else 0
        sleep(_LOOK)
    return False


def _lock(here: Places, ends: float) -> locks.Lock:
    # Services that are stopping hold it exclusively until both servers are gone.
    while (lock := locks.try_shared(here.clients_lock)) is None:
        if monotonic() > ends:
            raise Unreachable(f"the services of {here.home} do not stop; see {here.log}")
        sleep(_LOOK)
    return lock


def _started(here: Places, linger: float, ends: float) -> dict[str, str]:
    """Start the services unless they run; returns their URLs once both answer."""
    starts = 0
    while monotonic() < ends:
        urls = _read(here)
        if urls and answer(**urls):
            return urls
        if locks.is_free(here.supervisor_lock):
            if starts == _STARTS:
                break
            starts += 1
            postgres.check_reachable(here)
            _start(here, linger)
        sleep(_LOOK)
    raise Unreachable(f"the embedded services do not come up: {_last_line(here)} (see {here.log})")


def _start(here: Places, linger: float) -> None:
    """Start a services process, detached. It ends at once where another is elected first."""
    with here.log.open("ab") as log:
        subprocess.run(
            [sys.executable, "-P", "-m", "jobs.services", str(here.home), str(linger)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
            check=False,
        )


def _read(here: Places) -> dict[str, str] | None:
    try:
        urls: dict[str, str] = json.loads(here.urls.read_text())
    except FileNotFoundError:
        return None
    return urls


def answer(database_url: str, broker_url: str) -> bool:
    """Whether both servers do."""
    return database_answers(database_url) and broker_answers(broker_url)


def database_answers(url: str) -> bool:
    try:
        with psycopg.connect(url.replace("+psycopg", "", 1), connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False


def broker_answers(url: str) -> bool:
    parts = urlsplit(url)
    client = redis.Redis(unix_socket_path=parts.path, password=parts.password, socket_timeout=2)
    try:
        return bool(client.ping())
    except RedisError:
        return False
    finally:
        client.close()


def _last_line(here: Places) -> str:
    lines = here.log.read_text(errors="replace").strip().splitlines()
    return logs.in_words(lines[-1]) if lines else "no word from them"

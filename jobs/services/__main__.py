"""The services process of one home: `python -m jobs.services HOME LINGER`.

Detaches, is elected by a lock or ends, then keeps both servers up for as long
as any client holds the other lock. One thread, so that the servers' death
signal, which follows the thread that started them, means this process.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

from jobs import logs
from jobs.services import locks, places, postgres, valkey
from jobs.services.locks import Lock
from jobs.services.places import Places

log = logs.get("services")

_LOOK = 0.1
_STOP_SECONDS = 30.0
_LONGEST_BACKOFF = 5.0

Start = Callable[[Places, Lock, int], subprocess.Popen[bytes]]
Stop = Callable[[subprocess.Popen[bytes]], None]


class Server:
    """One of the two servers, started again when it dies."""

    def __init__(self, name: str, start: Start, stop: Stop) -> None:
        self._name = name
        self._start = start
        self._stop = stop
        self._process: subprocess.Popen[bytes] | None = None
        self._not_before = 0.0
        self._backoff = 0.1

    def keep_up(self, here: Places) -> None:
        if self._process is not None and self._process.poll() is not None:
            log.warning("server ended", server=self._name, code=self._process.returncode)
            self._process = None
            self._not_before = monotonic() + self._backoff
            self._backoff = min(2 * self._backoff, _LONGEST_BACKOFF)
        if self._process is None and monotonic() >= self._not_before:
            self._process = self._start_alone(here)

    def _start_alone(self, here: Places) -> subprocess.Popen[bytes] | None:
        """None while the server of a services process that was killed is on its way out: it
        would remove the new one's socket at its end, and two must never write the same data."""
        alone = locks.try_exclusive(here.server_lock(self._name))
        if alone is None:
            return None
        try:
            return self._start(here, alone, sys.stderr.fileno())
        finally:
            alone.release()  # the server keeps it

    def ask_to_stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._stop(self._process)

    def wait(self) -> None:
        if self._process is None:
            return
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            log.warning("server does not stop; killing it", server=self._name)
            self._process.kill()
            self._process.wait()


def supervise(here: Places, linger: float) -> None:
    """Keep both servers up until no client is left; then hold the clients' lock until both
    have exited, so that no new client meets servers on their way out."""
    servers = [
        Server("postgres", postgres.start, postgres.stop),
        Server("valkey", valkey.start, valkey.stop),
    ]
    hold = None
    try:
        hold = _serve(here, linger, servers)
    finally:
        here.urls.unlink(missing_ok=True)
        for server in servers:
            server.ask_to_stop()
        for server in servers:
            server.wait()
        if hold is not None:
            hold.release()


def _serve(here: Places, linger: float, servers: list[Server]) -> Lock:
    """Returns the clients' lock, held exclusively, once nobody has held it for `linger` seconds."""
    urls = {"database_url": postgres.url(here), "broker_url": valkey.url(here)}
    valkey.write_private(here.urls, json.dumps(urls))
    idle_since: float | None = None
    while True:
        for server in servers:
            server.keep_up(here)
        hold = locks.try_exclusive(here.clients_lock)
        if hold is None:
            idle_since = None
        else:
            idle_since = idle_since or monotonic()
            if monotonic() - idle_since >= linger:
                return hold
            hold.release()
        sleep(_LOOK)


def main(home: Path, linger: float) -> None:
    if os.fork():
        os._exit(0)  # whoever started us need not wait for us, nor reap us
    logs.configure("json")  # into a file
    here = places.of(home)
    elected = locks.try_exclusive(here.supervisor_lock)
    if elected is None:
        return
    # As `kill` asks, and as the machine does when it goes down: stop in order.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    log.info("services are starting", home=home, pid=os.getpid())
    supervise(here, linger)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))

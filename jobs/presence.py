"""Says in SQL that this process lives: a thread that renews its row until it is told to stop."""

import os
import socket
import threading
from importlib.metadata import version
from secrets import token_hex
from types import TracebackType
from typing import Self

from jobs import logs
from jobs.database import Database
from jobs.errors import DatabaseUnreachable
from jobs.store import workers
from jobs.store.workers import Presence, Role

log = logs.get("presence")


def of_this_process(role: Role, device: str | None = None) -> Presence:
    """A presence whose name is new at each start: host, device and random characters."""
    host = socket.gethostname()
    name = "-".join([host, device or role, token_hex(4)])
    return Presence(name, role, host, os.getpid(), device, version("gistmill"))


class Announcer:
    """A context in which the process counts as alive."""

    def __init__(self, database: Database, presence: Presence, interval: float) -> None:
        self.presence = presence
        self._database = database
        self._interval = interval
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)

    def __enter__(self) -> Self:
        self._announce()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join(self._interval)
        try:
            with self._database.transaction() as tx:
                workers.leave(tx, self.presence.name)
        except DatabaseUnreachable:
            log.debug("could not take leave; the row ages out")

    def _run(self) -> None:
        while not self._over.wait(self._interval):
            self._announce()

    def _announce(self) -> None:
        try:
            with self._database.transaction() as tx:
                workers.announce(tx, self.presence)
        except DatabaseUnreachable as error:
            log.warning("could not say that we live", error=error)
        except Exception:  # whatever it is, the next time it may be over
            log.exception("could not say that we live")

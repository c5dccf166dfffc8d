"""The threads beside the work: one renews the lease, one ends the process where nothing else can.

They have a connection of their own, and a database that is silent keeps only the first. The
second runs from the moment of leasing, model load included, and knows two reasons to end the
process in the middle of a batch: the batch (or the load) passed its deadline, or the worker
was asked to stop and `drain` seconds were not enough. In both cases nobody else could
interrupt a model that is generating.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, copy_context
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from jobs import logs
from jobs.database import Database, Transaction
from jobs.errors import DatabaseUnreachable
from jobs.settings import Timings
from worker.exit_codes import DEADLINE, DRAINED

log = logs.get("heartbeat")

_LOOK = 0.5
# For a database that is slow to take back what a worker that stops has in hand.
_LAST_SECONDS = 3.0

Renew = Callable[[Transaction], bool]


class Heartbeat:
    """Holds what the main thread says it has in hand."""

    def __init__(self, database: Database, timings: Timings, drain_file: Path) -> None:
        self._database = database
        self._timings = timings
        self._drain_file = drain_file
        self._lock = threading.Lock()
        self._renew: Renew | None = None
        self._hand_back: Renew | None = None
        self._deadlines: dict[object, float] = {}
        self._draining_since: float | None = None
        self._about = Context()
        # Each on its own: a database that is silent must keep nobody from watching.
        for turn, seconds in ((self._beat, timings.heartbeat), (self._watch, _LOOK)):
            threading.Thread(
                target=_again_and_again, args=(turn, seconds), name="heartbeat", daemon=True
            ).start()

    @contextmanager
    def holding(self, renew: Renew, hand_back: Renew) -> Iterator[None]:
        """Renew a lease for as long as the context is open.

        What the caller's lines of the log are about, those of the thread are about as well.
        """
        with self._lock:
            before = self._renew, self._hand_back, self._about
            self._renew, self._hand_back = renew, hand_back
            self._about = copy_context()
        try:
            yield
        finally:
            with self._lock:
                self._renew, self._hand_back, self._about = before

    @contextmanager
    def deadline(self, seconds: float) -> Iterator[None]:
        """End the process, as a death of its lease, where the context takes longer."""
        mark = object()
        with self._lock:
            self._deadlines[mark] = monotonic() + seconds
        try:
            yield
        finally:
            with self._lock:
                del self._deadlines[mark]

    @property
    def draining(self) -> bool:
        """Whether the worker was asked to stop."""
        return self._drain_file.exists()

    def _beat(self) -> None:
        with self._lock:
            renew = self._renew
        if renew is None:
            return
        try:
            with self._database.transaction() as tx:
                renewed = renew(tx)
        except DatabaseUnreachable as error:
            self._say(log.warning, "the lease is not renewed", error=error)
            return
        with self._lock:
            # It may have been given up in the meantime, which is not to lose it.
            if not renewed and self._renew is renew:
                self._say(log.warning, "the lease was lost; what is being done will not be stored")

    def _watch(self) -> None:
        self._watch_deadline()
        self._watch_drain()

    def _watch_deadline(self) -> None:
        with self._lock:
            deadlines = list(self._deadlines.values())
        if any(monotonic() > deadline for deadline in deadlines):
            self._say(log.error, "no end in sight after the deadline; ending this process")
            os._exit(DEADLINE)

    def _watch_drain(self) -> None:
        if not self.draining:
            return
        self._draining_since = self._draining_since or monotonic()
        if monotonic() - self._draining_since < self._timings.drain:
            return
        # To the end: the main thread must not take up anything else.
        with self._lock:
            if self._hand_back is None:
                return
            last = threading.Thread(target=self._give_back, args=(self._hand_back,), daemon=True)
            last.start()
            last.join(_LAST_SECONDS)
            os._exit(DRAINED)

    def _give_back(self, hand_back: Renew) -> None:
        try:
            with self._database.transaction() as tx:
                hand_back(tx)
        except DatabaseUnreachable as error:
            self._say(log.warning, "not handed back; the lease runs out by itself", error=error)
            return
        self._say(
            log.warning,
            "still busy after being asked to stop; handed back",
            seconds=self._timings.drain,
        )

    def _say(self, say: Callable[..., Any], event: str, **keys: Any) -> None:
        """A context is the main thread's own, and these have none; two can not enter one."""
        self._about.copy().run(say, event, **keys)


def _again_and_again(turn: Callable[[], None], seconds: float) -> None:
    """Whatever a turn meets, the next one comes: without them leases and deadlines are nothing."""
    while True:
        sleep(seconds)
        try:
            turn()
        except Exception:
            log.exception("a turn of the heartbeat failed")

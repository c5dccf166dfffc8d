"""`/metrics` of a worker, which its parent serves: the child may be busy, dying, or not there yet.

The child's numbers lie in files of prometheus_client's multiprocess mode: counters outlive the
child that counted, gauges go with it. What only the parent knows it counts itself.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Info,
    Metric,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from jobs.errors import UsageError
from jobs.store.workers import Presence
from worker import exit_codes

_GAUGES = "gauge_live*_*.db"


class Parent:
    """What a worker's parent counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._deaths = Counter(
            "gistmill_worker_child_deaths",
            "Ends of the process that runs the model, by reason.",
            ["reason"],
            registry=self.registry,
        )
        for reason in exit_codes.EVERY_REASON:
            self._deaths.labels(reason)  # 0 from the start: rates need it
        self._info = Info("gistmill_worker", "Which worker this is.", registry=self.registry)

    def is_called(self, me: Presence) -> None:
        self._info.info(
            {"worker": me.name, "host": me.host, "device": me.device or "", "version": me.version}
        )

    def died(self, reason: str) -> None:
        self._deaths.labels(reason).inc()


@cache
def parent() -> Parent:
    """One in a process. Who sees a child end, Celery's log, is told of nothing else."""
    return Parent()


class _OfChildren(Collector):
    """What children left in `folder`, the dead ones' gauges apart."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = MultiProcessCollector(None, str(folder))
        self._clearing = Lock()

    def collect(self) -> Iterator[Metric]:
        with self._clearing:  # two who scrape at once would remove the same files
            self._clear()
        yield from self._files.collect()

    def _clear(self) -> None:
        for pid in {int(path.stem.rpartition("_")[2]) for path in self._folder.glob(_GAUGES)}:
            if not _lives(pid):
                mark_process_dead(pid, str(self._folder))


@contextmanager
def metrics(host: str, port: int, folder: Path, me: Presence) -> Iterator[None]:
    """Serve them while the context is open. Raises UsageError where nobody can listen there."""
    disable_created_metrics()
    parent().is_called(me)
    registry = CollectorRegistry()
    for each in (parent().registry, _OfChildren(folder)):
        registry.register(each)
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise UsageError(
            f"can not serve metrics on {host}:{port}: {error.strerror}; choose another "
            "--metrics-port"
        ) from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):  # of another user: the number was given again
        return False
    return True

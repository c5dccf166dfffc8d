"""A worker: a Celery parent that never imports torch, and one child that holds one device.

The parent announces the worker and takes signals; the child, spawned afresh,
loads the model in its first task. `child()` is the one thing of its kind in a process.
"""

import sys
import warnings
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from celery import Celery
from celery.exceptions import CPendingDeprecationWarning, SecurityWarning
from celery.signals import worker_ready, worker_shutting_down

from jobs import logs, presence, services, settings
from jobs.broker import Broker, make_app
from jobs.database import Database
from jobs.job import ModelKey
from jobs.settings import Settings, WorkerProcess
from jobs.sources import Sources
from worker import serving
from worker.engines import Engine
from worker.heartbeat import Heartbeat
from worker.metrics import Metrics
from worker.pipeline import Pipeline
from worker.reaper import Reaper
from worker.validation import Validator

log = logs.get("worker")


@dataclass(frozen=True)
class Child:
    """What the pool child works with."""

    pipeline: Pipeline
    validator: Validator


@cache
def child() -> Child:
    """Built at the first task, in the child only."""
    from worker import budget, models

    configured = settings.load()
    process = WorkerProcess()
    endpoints = services.connect(configured)
    timings = configured.timings
    # For who generates, who reads ahead and who stores.
    database = Database(endpoints.database_url, connections=3)
    sources = Sources(database, configured.allowed)
    # On a connection of its own: the others may be busy for the whole of a store.
    heartbeat = Heartbeat(
        Database(endpoints.database_url, connections=1), timings, process.drain_file
    )

    budgets = budget.Budgets(configured.home / "budgets", process.device)

    def load_engine(key: ModelKey) -> Engine:
        resolved = models.resolve(key.model, configured.home, key.revision)
        engine = models.load(resolved, key.engine, key.dtype, process.device)
        budgets.settle(key, engine, budget.measure)
        return engine

    return Child(
        pipeline=Pipeline(
            database=database,
            broker=Broker(endpoints.broker_url, timings),
            heartbeat=heartbeat,
            load_engine=load_engine,
            worker=process.name,
            timings=timings,
            sources=sources,
            metrics=Metrics(process.device),
        ),
        validator=Validator(
            database=database,
            heartbeat=heartbeat,
            home=configured.home,
            device=process.device,
            worker=process.name,
            timings=timings,
            sources=sources,
        ),
    )


@dataclass(frozen=True, slots=True)
class Serve:
    """Where `/metrics` is served."""

    host: str
    port: int


def run(
    configured: Settings, device: str, serve: Serve | None = None, *, events: bool = False
) -> None:
    """Work on one device until asked to stop. `events` are Celery's, for Flower.

    Raises UsageError where it can not `serve`.
    """
    endpoints = services.connect(configured)
    database = Database(endpoints.database_url, connections=1)
    if endpoints.embedded_database:
        database.migrate()
    me = presence.of_this_process("worker", device)
    announced = presence.Announcer(database, me, configured.timings.heartbeat)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="gistmill-")))
        numbers = folder / "metrics" if serve else None
        if serve and numbers:
            numbers.mkdir()
            stack.enter_context(serving.metrics(serve.host, serve.port, numbers, me))
        stack.enter_context(announced)
        process = WorkerProcess(
            name=me.name, device=device, drain_file=folder / "drain", metrics=numbers
        )
        settings.tell_children(configured, process)
        app = make_app(endpoints.broker_url, configured.timings, include=["worker.tasks"])
        _serve(app, process, events)


def _serve(app: Celery, process: WorkerProcess, events: bool) -> None:
    """Celery's own main loop. Not `celery -A`, which would put the current folder, and with
    it a user's own `worker/`, first on the path."""

    def ready(**_: Any) -> None:
        # It warns at each lost connection of a default to come; ours is set. Its own setup, before
        # this, asked for such warnings.
        warnings.simplefilter("ignore", CPendingDeprecationWarning)
        log.info("worker is ready")

    def drain(**_: Any) -> None:
        process.drain_file.touch()
        log.info("asked to stop; the batch in hand is finished first")

    app.steps["worker"].add(Reaper)
    worker_ready.connect(ready, weak=False)
    worker_shutting_down.connect(drain, weak=False)
    # Where it prints, past every log, that it was asked to stop; our log says so.
    sys.__stdout__ = None  # type: ignore[misc]  # final for type checkers, None in a daemon
    # It warns root of pickled messages; ours are JSON, and nothing else is accepted.
    warnings.simplefilter("ignore", SecurityWarning)
    app.conf.worker_consumer = "worker.consumer:Consumer"
    app.worker_main(
        [
            "--quiet",
            "worker",
            f"--hostname=gistmill@{process.name}",
            "--loglevel=WARNING",
            "--without-gossip",
            "--without-mingle",
            # Events are sent from the loop that takes work: where Redis is silent it stands still
            # for as long.
            "--task-events" if events else "--without-heartbeat",
        ]
    )

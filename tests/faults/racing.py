"""A mill in this process: dispatchers and workers as threads, on a real database.

What they do is gistmill's own; only the wake-ups go through a queue in memory, so that a
thousand rounds take a minute. Whatever they raise is kept: nothing may be raised.
"""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Self

from jobs.allowed_sources import Allowed
from jobs.broker import Broker
from jobs.database import Database
from jobs.settings import Settings
from jobs.sources import Sources
from producer import dispatch
from producer.client import Client
from tests.faults.engine import Diarist, Orders
from worker.heartbeat import Heartbeat
from worker.pipeline import Pipeline
from worker.validation import Validator

log = logging.getLogger("tests.faults.racing")

_LOOK = 0.1


class Wakeups(Broker):
    """Messages in memory."""

    def __init__(self) -> None:
        self.messages: SimpleQueue[str | int] = SimpleQueue()

    def send_validate(self, job_id: str) -> None:
        self.messages.put(job_id)

    def send_summarize(self, shard_id: int) -> None:
        self.messages.put(shard_id)

    def queue_length(self) -> int:
        return self.messages.qsize()

    def close(self) -> None:
        pass


class Threads:
    """A context in which dispatchers and workers run."""

    def __init__(self, settings: Settings, orders: Orders, folder: Path) -> None:
        assert settings.database_url
        self._settings = settings
        self._orders = orders
        self._folder = folder
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._databases: list[Database] = []
        self.broker = Wakeups()
        self.troubles: list[BaseException] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for database in self._databases:
            database.close()

    def client(self) -> Client:
        """A client that sends its wake-ups here."""
        opened = Client(settings=self._settings)
        opened.here.broker = self.broker
        return opened

    def dispatcher(self) -> None:
        database = self._database()
        self._run(lambda: self._turn(database))

    def worker(self, name: str) -> None:
        heartbeat = Heartbeat(self._database(), self._settings.timings, self._folder / "drain")
        database, timings = self._database(), self._settings.timings
        engine = Diarist(self._orders)
        pipeline = Pipeline(
            sources=Sources(database, Allowed(None)),
            database=database,
            broker=self.broker,
            heartbeat=heartbeat,
            load_engine=lambda key: engine,
            worker=name,
            timings=timings,
        )
        validator = Validator(
            sources=Sources(database, Allowed(None)),
            database=database,
            heartbeat=heartbeat,
            home=self._folder,
            device="cpu",
            worker=name,
            timings=timings,
        )
        self._run(lambda: self._task(pipeline, validator))

    def _turn(self, database: Database) -> None:
        dispatch.fill(database, self.broker, self._settings.timings)
        self._stop.wait(self._settings.timings.dispatch_interval)

    def _task(self, pipeline: Pipeline, validator: Validator) -> None:
        try:
            message = self.broker.messages.get(timeout=_LOOK)
        except Empty:
            return
        if isinstance(message, str):
            validator.validate(message)
        else:
            pipeline.summarize(message)

    def _run(self, once: Callable[[], None]) -> None:
        def run() -> None:
            while not self._stop.is_set():
                try:
                    once()
                except Exception as error:
                    log.exception("in a thread")
                    self.troubles.append(error)

        thread = threading.Thread(target=run)
        self._threads.append(thread)
        thread.start()

    def _database(self) -> Database:
        assert self._settings.database_url
        database = Database(self._settings.database_url, connections=1)
        self._databases.append(database)
        return database

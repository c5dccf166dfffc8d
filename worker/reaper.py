"""Finds out soon that the pool child has died.

Celery 5.7 waits for the end of a pipe that the kernel closes a moment before the child can be
waited for. It then finds the child alive, and looks again with its timer of five seconds, in
which nobody works. This looks twice a second.
"""

from typing import Any

from celery import bootsteps
from kombu.asynchronous import Hub

_SECONDS = 0.5


class Reaper(bootsteps.StartStopStep):
    """A step of the worker's, as https://docs.celeryq.dev/en/stable/userguide/extending.html."""

    requires = ("celery.worker.components:Hub", "celery.worker.components:Pool")

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        self._timer: Any = None
        super().__init__(worker, **kwargs)

    def register_with_event_loop(self, worker: Any, hub: Hub) -> None:
        """Called at the start, and again after each lost connection."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = hub.call_repeatedly(_SECONDS, worker.pool.maintain_pool)

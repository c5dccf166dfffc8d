"""How the parent takes messages and goes on when Redis is away, silent, or refuses.

Celery's loop, behind a gate and with short pauses. It never ends of an outage, and takes work
again within seconds of its end.
"""

import logging
from collections.abc import Callable
from time import sleep
from typing import Any

from celery.worker.consumer import Consumer as CeleryConsumer
from celery.worker.state import maybe_shutdown
from kombu import Connection

from jobs import logs
from worker import gate

log = logs.get("consumer")

_PAUSE = 1
_LONGEST_PAUSE = 5


class Consumer(CeleryConsumer):
    """A connection to Redis, made again whenever it fails."""

    def create_task_handler(self, *arguments: Any, **named: Any) -> Callable[[Any], Any]:
        handle = super().create_task_handler(*arguments, **named)

        def receive(message: Any) -> Any:
            if why := gate.refusal(message):
                log.warning("a message is dropped", why=why)
                errors = self.connection_errors  # type: ignore[attr-defined]  # it has them
                return message.reject_log_error(logging.getLogger(__name__), errors)
            return handle(message)

        return receive

    def ensure_connected(self, conn: Connection) -> Connection:
        """Celery's own waits up to 30 s between two tries, however short a lease is."""

        def waits(error: Exception, pause: float) -> None:
            log.warning("Redis does not answer", error=error, again_in=pause)

        conn.ensure_connection(
            waits,
            interval_start=_PAUSE,
            interval_step=_PAUSE,
            interval_max=_LONGEST_PAUSE,
            callback=maybe_shutdown,
        )
        self.first_connection_attempt = False
        return conn

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        """Redis answers, but refuses to be written to. Celery would ask again at once."""
        log.warning("Redis refuses", error=exc, again_in=_PAUSE)
        sleep(_PAUSE)

"""How the parent takes messages and goes on when Redis is away, silent, or refuses.

Celery's loop, behind a gate and with short pauses. It never ends of an outage, and takes work
again within seconds of its end.
"""

from collections.abc import Callable
from time import sleep
from typing import Any

from celery.worker import state
from celery.worker.consumer import Consumer as CeleryConsumer
from kombu import Connection
from kombu.transport import redis, virtual

from jobs import logs
from worker import gate

log = logs.get("consumer")

_PAUSE = 1
_LONGEST_PAUSE = 5

# Gone, and answering but refusing: read-only, or out of memory.
_REDIS_ERRORS = redis.Transport.connection_errors + redis.Transport.channel_errors


class Consumer(CeleryConsumer):
    """A connection to Redis, made again whenever it fails."""

    def create_task_handler(self, *arguments: Any, **named: Any) -> Callable[[Any], Any]:
        handle = super().create_task_handler(*arguments, **named)

        def receive(message: Any) -> Any:
            if why := gate.refusal(message):
                log.warning("a message is dropped", why=why)
                return let_go(message, message.reject)
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
            callback=state.maybe_shutdown,
        )
        self.first_connection_attempt = False
        return conn

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        """Redis answers, but refuses to be written to. Celery would ask again at once."""
        log.warning("Redis refuses", error=exc, again_in=_PAUSE)
        sleep(_PAUSE)


def let_go(message: Any, tell: Callable[[], None]) -> None:
    """`tell` Redis that a message is done, dropped or given back; go on where it does not listen.

    kombu 5.7 keeps a message that Redis could not be told of among those in hand. With a
    prefetch of one the worker then never asks for another, and so never finds out that its
    connection is gone. That Redis delivers the message again does no harm, nor that it does
    not: SQL knows what is to do. So a worker that was asked to stop tells nobody: a Redis that
    is silent would take the time there is.
    """
    if state.should_stop is None:
        try:
            tell()
        except _REDIS_ERRORS as error:
            log.warning("Redis does not take a message back; going on without", error=error)
        else:
            return
    # What kombu's own methods do after they have told Redis.
    virtual.QoS.ack(message.channel.qos, message.delivery_tag)

"""The two Celery tasks: open the message, call. Imported by the pool child, which does the work."""

import logging
import os
from typing import Any

from celery import Task, shared_task
from celery.signals import setup_logging
from celery.worker.request import Request as CeleryRequest
from kombu.transport import virtual

from jobs import logs, messages
from jobs.errors import GistmillError
from worker import app
from worker.engines import DeviceLost

log = logging.getLogger("gistmill.tasks")

# The parent's log shows these exit codes; the lease counts as a death.
_OUT_OF_MEMORY = 77
_DEVICE_LOST = 78


@setup_logging.connect
def _log_as_we_do(**_: Any) -> None:
    logs.configure()


class Request(CeleryRequest):
    """A message in the parent's hands, which takes it well that Redis is away when it is done.

    kombu 5.7 keeps a message whose acknowledgement failed among those in hand. With a
    prefetch of one the worker then never asks for another, and so never finds out that its
    connection is gone. That Redis delivers the message again does no harm.
    """

    def acknowledge(self) -> None:
        if self.acknowledged:
            return
        try:
            self.message.ack()
        except self.connection_errors as error:  # type: ignore[misc]  # a tuple of types
            log.warning("Redis does not answer (%s); connecting again", error)
            # What kombu's own method does after it has told Redis.
            virtual.QoS.ack(self.message.channel.qos, self.message.delivery_tag)
        self.acknowledged = True


class _Task(Task):  # type: ignore[type-arg]  # not generic when it runs
    Request = "worker.tasks:Request"


@shared_task(name=messages.VALIDATE, base=_Task)
def validate(**body: Any) -> None:
    with _Guard():
        app.child().validator.validate(messages.decode_validate(body))


@shared_task(name=messages.SUMMARIZE, base=_Task)
def summarize(**body: Any) -> None:
    with _Guard():
        app.child().pipeline.summarize(messages.decode_summarize(body))


class _Guard:
    """What may not leave a task: an error that the operator can mend becomes one line."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if isinstance(error, MemoryError):
            # Celery 5.7 would end the whole worker; the child alone is enough.
            log.error("out of memory; ending this process")
            os._exit(_OUT_OF_MEMORY)
        if isinstance(error, DeviceLost):
            log.error("%s; ending this process, the next one finds the device anew", error)
            os._exit(_DEVICE_LOST)
        if isinstance(error, GistmillError):
            log.error("%s", error)
            return True
        return False

"""The two Celery tasks: open the message, call. Imported by the pool child, which does the work."""

import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from celery import Task, shared_task
from celery.exceptions import WorkerLostError
from celery.signals import setup_logging
from celery.worker.request import Request as CeleryRequest

from jobs import logs, messages, settings
from jobs.errors import GistmillError
from jobs.settings import WorkerProcess
from worker import app, celery_words, exit_codes
from worker.consumer import let_go
from worker.engines import DeviceLost

log = logs.get("tasks")


@setup_logging.connect
def _log_as_we_do(**_: Any) -> None:
    """In the parent and in the child."""
    process = WorkerProcess()
    form = logs.form_of(settings.load().log_format, sys.stderr)
    logs.configure(form, worker=process.name, device=process.device)
    celery_words.adopt()


class Request(CeleryRequest):
    """A message in the parent's hands, which takes it well that Redis is away or refuses when
    it is done."""

    def acknowledge(self) -> None:
        self._let_go(self.message.ack)

    def reject(self, requeue: bool = False) -> None:
        self._let_go(partial(self.message.reject, requeue=requeue))

    def _let_go(self, tell: Callable[[], None]) -> None:
        if not self.acknowledged:
            let_go(self.message, tell)
            self.acknowledged = True

    def on_failure(
        self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False
    ) -> None:
        """Of a child's end Celery would show a traceback, which is its own."""
        error = getattr(exc_info.exception, "exc", exc_info.exception)
        if isinstance(error, WorkerLostError) and celery_words.told(error):
            return_ok = True  # with a message that goes back to the queue it only does not log
        super().on_failure(exc_info, send_failed_event, return_ok)


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
        logs.about_nothing()

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if isinstance(error, MemoryError):
            # Celery 5.7 would end the whole worker; the child alone is enough.
            log.error("out of memory; ending this process")
            os._exit(exit_codes.OUT_OF_MEMORY)
        if isinstance(error, DeviceLost):
            log.error("the device is lost; ending this process", error=error)
            os._exit(exit_codes.DEVICE_LOST)
        if isinstance(error, GistmillError):
            log.error("task failed", error=error)
            return True
        return False

"""The two Celery tasks: open the message, call. Imported by the pool child, which does the work."""

import logging
import os
from typing import Any

from celery import shared_task
from celery.signals import setup_logging

from jobs import logs, messages
from jobs.errors import GistmillError
from worker import app

log = logging.getLogger("gistmill.tasks")

# The parent's log shows this exit code; the lease counts as a death.
_OUT_OF_MEMORY = 77


@setup_logging.connect
def _log_as_we_do(**_: Any) -> None:
    logs.configure()


@shared_task(name=messages.VALIDATE)
def validate(**body: Any) -> None:
    with _Guard():
        app.child().validator.validate(messages.decode_validate(body))


@shared_task(name=messages.SUMMARIZE)
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
        if isinstance(error, GistmillError):
            log.error("%s", error)
            return True
        return False

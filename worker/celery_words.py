"""What Celery says of a Redis that is gone, in one line of ours. It says it in several, and
each time that it tries; whatever else it says stands as it is."""

import logging
from typing import Any

from celery.worker.consumer import consumer

_CELERY: Any = consumer  # its types know nothing of its messages


def replace() -> None:
    """For the rest of this process."""
    _CELERY.logger.addFilter(_in_our_words)


def _in_our_words(record: logging.LogRecord) -> bool:
    args = record.args if isinstance(record.args, tuple) else ()
    if record.msg == "%s (%r)" and args[:1] == (_CELERY.CONNECTION_RETRY,):
        _, error = args
        record.msg, record.args = "the connection to Redis is lost: %s", (error,)
    elif record.msg == _CELERY.CONNECTION_ERROR:
        _, error, next_step = args
        record.msg, record.args = "Redis does not answer: %s. %s", (error, next_step)
    return True

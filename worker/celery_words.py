"""What Celery says of a child that ended and of a Redis that is gone, in one line of ours each.

It says the one twice, with a traceback of its own, and the other in several lines. Whatever
else it says stands as it is.
"""

import logging
import re
from typing import Any

from celery.exceptions import WorkerLostError
from celery.utils.log import get_multiprocessing_logger
from celery.worker.consumer import consumer

from jobs import logs
from worker import exit_codes, serving

log = logs.get("celery")

_CELERY: Any = consumer  # its types know nothing of its messages
_CHILD_ENDED = "Process %r pid:%r exited with %r"


def adopt() -> None:
    """For the rest of this process, parent or child."""
    pool: Any = get_multiprocessing_logger()
    pool.propagate = True  # or it writes past our log
    pool.addFilter(unless_told)
    _CELERY.logger.addFilter(unless_told)


def told(lost: WorkerLostError) -> bool:
    """Whether the pool has said so: of exits that it takes for regular ones it says nothing."""
    return not re.search(r"exitcode (0|155)\b", str(lost))


def unless_told(record: logging.LogRecord) -> bool:
    """False where it is told in our words instead."""
    args = record.args if isinstance(record.args, tuple) else ()
    if record.msg == _CHILD_ENDED:
        _, pid, status = args
        why = exit_codes.explain(str(status))
        serving.parent().died(exit_codes.reason(str(status)))
        log.warning("the child ended; what it held is taken up again", pid=pid, why=why)
    elif record.msg == "%s (%r)" and args[:1] == (_CELERY.CONNECTION_RETRY,):
        log.warning("the connection to Redis is lost", error=args[1])
    else:
        return True
    return False

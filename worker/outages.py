"""A database that is away, full or read-only: what was in hand is handed back once it answers.

Nobody died of it, and the lease must not run out as if.
"""

from collections.abc import Callable
from contextlib import suppress
from time import sleep

from jobs import logs
from jobs.errors import DatabaseRefuses, DatabaseUnreachable
from jobs.settings import Timings

log = logs.get("outages")


def hand_back(
    hand_back: Callable[[], object],
    error: DatabaseUnreachable,
    timings: Timings,
    gives_up: Callable[[], bool],
) -> None:
    """Raises `error` where it `gives_up` before the database answers."""
    log.warning("handed back once the database answers", error=error)
    # One that answers but can not store would answer at once, all night.
    pause = timings.retry_first if isinstance(error, DatabaseRefuses) else timings.poll
    while True:
        stops = gives_up()
        if not stops:
            sleep(pause)
        with suppress(DatabaseUnreachable):
            hand_back()
            return
        if stops:
            raise error

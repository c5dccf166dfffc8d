"""The dispatcher keeps Redis filled from SQL. Any number may run; a lock lets one at a time.

A turn is one transaction: it returns what dead workers held, closes finished
jobs, and marks the messages to send; they are sent after the commit. A message
that is lost on the way is sent again, one that is doubled does no harm.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from jobs import logs
from jobs.broker import Broker
from jobs.database import Database, Transaction
from jobs.errors import BrokerUnreachable, DatabaseUnreachable, NotMigrated, UsageError
from jobs.settings import Timings
from jobs.store import deaths, endings, fairness, hours, locks, queueing, validations, workers
from jobs.store.endings import Closed
from jobs.windows import RunWindow

log = logs.get("dispatch")

_SMALLEST_WINDOW = 8


@dataclass
class Turn:
    """What one turn found and did."""

    returned: int = 0
    ended: list[str] = field(default_factory=list)
    """Jobs that passed their deadline, or failed too often."""
    closed: list[Closed] = field(default_factory=list)
    validations: list[str] = field(default_factory=list)
    shards: list[int] = field(default_factory=list)


def run(database: Database, broker: Broker, timings: Timings, stop: threading.Event) -> None:
    """Dispatch until `stop` is set. A database or broker that is down is waited for, and so is
    the migration of a database."""
    while not stop.wait(timings.dispatch_interval):
        try:
            turn = fill(database, broker, timings, settled=_report)
        except (DatabaseUnreachable, BrokerUnreachable, NotMigrated) as error:
            log.warning("a turn failed; trying again", error=error)
        else:
            if turn.validations or turn.shards:
                sent = {"validations": len(turn.validations), "shards": len(turn.shards)}
                log.debug("sent", **sent)


def fill(
    database: Database,
    broker: Broker,
    timings: Timings,
    settled: Callable[[Turn], None] = lambda _: None,
) -> Turn:
    """One turn. Raises DatabaseUnreachable and NotMigrated, and BrokerUnreachable once SQL is in
    order.

    `settled` is called with what was done in SQL, before anything is sent. What is marked
    but not sent, because the broker went down in between, is sent again after `resend_after`.
    """
    waiting, trouble = _queue_length(broker)
    turn = Turn()
    with database.transaction() as tx:
        if not locks.try_dispatch(tx):
            return turn
        turn.returned = deaths.return_expired(tx, timings.lease)
        turn.returned += validations.return_expired(tx, timings.lease)
        turn.ended = endings.end_late(tx) + endings.end_failing(tx)
        queueing.cancel_unstarted_of_ending(tx)
        queueing.unqueue_paused(tx)
        turn.closed = endings.close_finished(tx)
        _turn_windows(tx)
        fairness.lift_shut(tx)
        workers.forget_the_gone(tx)
        if waiting is not None:
            _choose(tx, turn, waiting, timings)
    settled(turn)
    if trouble:
        raise trouble
    for job_id in turn.validations:
        broker.send_validate(job_id)
    for shard_id in turn.shards:
        broker.send_summarize(shard_id)
    return turn


def _turn_windows(tx: Transaction) -> None:
    """Find out when a window that has shut opens next."""
    for job_id, window in hours.passed(tx):
        try:
            interval = RunWindow.parse(window).interval(datetime.now(UTC))
        except UsageError as error:  # a zone that the submitter's machine knows and this one not
            log.warning("its run window stays shut", job=job_id, error=error)
        else:
            hours.set_interval(tx, job_id, interval)


def _queue_length(broker: Broker) -> tuple[int | None, BrokerUnreachable | None]:
    try:
        return broker.queue_length(), None
    except BrokerUnreachable as error:
        return None, error


def _choose(tx: Transaction, turn: Turn, waiting: int, timings: Timings) -> None:
    """Fill the window: validations first, they are what jobs wait for."""
    window = max(_SMALLEST_WINDOW, 2 * workers.alive(tx, "worker", timings.alive))
    room = max(0, window - waiting)
    turn.validations = validations.queue_due(tx, room, timings.resend_after)
    room -= len(turn.validations)
    turn.shards = queueing.queue_due(tx, room, timings.resend_after)


def _report(turn: Turn) -> None:
    if turn.returned:
        log.warning("took back leases that ran out", leases=turn.returned)
    for job_id in turn.ended:
        log.warning("job ends early; `gistmill status` says why", job=job_id)
    for job in turn.closed:
        say = log.warning if job.code else log.info
        why = {"error": job.code} if job.code else {}
        say("job is over", job=job.job_id, status=job.status, **why)

"""Shards that nobody works on: added, looked into, sent, given up, and taken up again."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Double,
    Select,
    Subquery,
    and_,
    cast,
    func,
    insert,
    or_,
    select,
    true,
    update,
)

from jobs.database import Transaction
from jobs.job import NewShard, Sample
from jobs.states import (
    JOB_UNFINISHED,
    SHARD_IS_CANCELLED,
    SHARD_LEASABLE,
    SHARD_QUEUES,
    SHARD_RETRIES,
    SHARD_UNQUEUES,
    JobStatus,
    ShardState,
)
from jobs.store import clock, waiting
from jobs.store.conditions import NO_LEASE, NOTHING_IN_HAND, due, has_error, workable
from jobs.tables import SHARD_UNFINISHED, jobs, shards

# Whoever takes it up again begins anew: what it died of may be mended.
_AGAIN: dict[str, Any] = {
    "state": SHARD_RETRIES.target,
    "finished_at": None,
    "deaths": 0,
    "false_starts": 0,
    "vanished": 0,
    "suspects": {},
    "tries": 0,
    "next_attempt_at": None,
    "alone": False,
    **NOTHING_IN_HAND,
}


def add(tx: Transaction, job_id: str, first_number: int, new: Sequence[NewShard]) -> None:
    tx.execute(
        insert(shards),
        [
            {
                "job_id": job_id,
                "number": number,
                "start": shard.start,
                "stop": shard.stop,
                "position": shard.position,
            }
            for number, shard in enumerate(new, start=first_number)
        ],
    )


def sample(tx: Transaction, job_id: str, limit: int) -> tuple[int, list[Sample]]:
    """How many shards the job has, and at most `limit` of them, spread evenly."""
    count = tx.execute(
        select(func.count()).select_from(shards).where(shards.c.job_id == job_id)
    ).scalar_one()
    numbers = {place * count // limit for place in range(limit)}
    chosen = tx.execute(
        select(shards.c.start, shards.c.stop, shards.c.position, jobs.c.source)
        .join(jobs)
        .where(shards.c.job_id == job_id, shards.c.number.in_(numbers))
        .order_by(shards.c.number)
    )
    return count, [Sample(job_id, *row) for row in chosen]


def extents(tx: Transaction, job_id: str, after: int, limit: int) -> list[Sample]:
    """All of the job, from the document `after` on: at most `limit` shards, in order of index."""
    chosen = tx.execute(
        select(shards.c.start, shards.c.stop, shards.c.position, jobs.c.source)
        .join(jobs)
        .where(shards.c.job_id == job_id, shards.c.stop > after)
        .order_by(shards.c.number)
        .limit(limit)
    )
    return [Sample(job_id, *row) for row in chosen]


# --- sent


def queue_due(tx: Transaction, limit: int, resend_after: float) -> list[int]:
    """Mark up to `limit` shards as sent and return their ids, in the order to send them.

    First those whose message may be lost, sent longest ago; then new ones.
    """
    lost = (
        select(shards.c.id)
        .where(shards.c.state == ShardState.QUEUED, _sent_before(resend_after), workable())
        .join(jobs)
        .order_by(shards.c.queued_at)
        .limit(limit)
        .with_for_update(of=shards, skip_locked=True)
    )
    ids = _mark_sent(tx, lost)
    if len(ids) < limit:
        pending = and_(shards.c.state == ShardState.PENDING, due())
        ids += _mark_sent(tx, waiting.in_order(true(), pending, limit - len(ids)))
    return ids


def unqueue_paused(tx: Transaction) -> int:
    """Forget the messages of jobs that were paused; they will find nothing to do.

    Whoever pauses calls it, and each turn of a dispatcher: the turn before may have begun to
    send what was then paused.
    """
    paused = select(jobs.c.id).where(jobs.c.status == JobStatus.PAUSED)
    queued = and_(shards.c.job_id.in_(paused), shards.c.state.in_(SHARD_UNQUEUES.sources))
    return tx.execute(
        update(shards).where(queued).values(state=SHARD_UNQUEUES.target, queued_at=None)
    ).rowcount


def _sent_before(seconds: float) -> ColumnElement[bool]:
    return shards.c.queued_at < clock.before(seconds)


def _mark_sent(tx: Transaction, locked: Select[Any]) -> list[int]:
    chosen = list(tx.execute(locked).scalars())
    if chosen:
        tx.execute(
            update(shards)
            .where(shards.c.id.in_(chosen), shards.c.state.in_(SHARD_QUEUES.sources))
            .values(state=SHARD_QUEUES.target, queued_at=clock.now())
        )
    return chosen


# --- given up


def cancel_unstarted_of_ending(tx: Transaction) -> int:
    """Give up what is left of jobs that an error or a user has ended."""
    ending = or_(
        and_(jobs.c.status.in_(JOB_UNFINISHED), has_error()),
        jobs.c.status == JobStatus.CANCELLING,
    )
    # The job before its shards, as whoever cancels one locks them; who holds one now does it.
    # Whoever stores a summary must not wait: it refers to the job.
    free = select(jobs.c.id).where(ending).with_for_update(skip_locked=True, key_share=True)
    found = list(tx.execute(free).scalars())
    return tx.execute(_cancel(shards.c.job_id.in_(found))).rowcount if found else 0


def cancel_unstarted(tx: Transaction, job_id: str) -> int:
    return tx.execute(_cancel(shards.c.job_id == job_id)).rowcount


def _cancel(which: ColumnElement[bool]) -> Any:
    return (
        update(shards)
        .where(which, SHARD_UNFINISHED)
        .where(shards.c.state.in_(SHARD_LEASABLE & SHARD_IS_CANCELLED.sources))
        .values(state=SHARD_IS_CANCELLED.target, finished_at=clock.now(), **NO_LEASE)
    )


# --- taken up again


def take_up_cancelled(tx: Transaction, job_id: str) -> int:
    """Make what was cut off wait again; returns how many documents that are."""
    cut_off = and_(shards.c.job_id == job_id, shards.c.state == ShardState.CANCELLED)
    left = shards.c.stop - shards.c.start - shards.c.completed - shards.c.failed
    taken_up = update(shards).where(cut_off).values(**_AGAIN).returning(left)
    return sum(tx.execute(taken_up).scalars())


def take_up_failed(tx: Transaction, counted: Subquery) -> None:
    """Make shards wait again, their counts lower by `counted` (id, failed, input_tokens,
    output_tokens): rows that are deleted in the same transaction."""
    lower: dict[str, Any] = {
        name: shards.c[name] - counted.c[name]
        for name in ("failed", "input_tokens", "output_tokens")
    }
    # What they took is forgotten with them, or a forecast would put it down to the others.
    kept = 1.0 - counted.c.failed / cast(shards.c.completed + shards.c.failed, Double)
    lower["busy_seconds"] = shards.c.busy_seconds * kept
    waiting = [*SHARD_RETRIES.sources, ShardState.PENDING]
    tx.execute(
        update(shards)
        .where(shards.c.id == counted.c.id, shards.c.state.in_(waiting))
        .values(**lower, **_AGAIN)
    )

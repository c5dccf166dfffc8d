"""Leases: a worker's right to a shard until `leased_until`, by the database's clock.

`attempt` is the fencing token: whoever holds an older one changes no row.
"""

from collections.abc import Iterable, Sequence
from math import ceil
from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, func, or_, select, update
from sqlalchemy import Row as SqlRow

from jobs.database import Transaction
from jobs.job import ModelKey, Shard
from jobs.parameters import Effective
from jobs.states import (
    SHARD_IS_CANCELLED,
    SHARD_LEASABLE,
    SHARD_RETURNS,
    SHARD_RUNS,
    JobStatus,
    ShardState,
)
from jobs.store import clock, deaths, notes, waiting
from jobs.store.conditions import (
    NO_LEASE,
    NOTHING_IN_HAND,
    due,
    has_error,
    has_model,
    locked,
    mine,
    workable,
)
from jobs.tables import SHARD_UNFINISHED, jobs, shards

# Whoever leases locks so many rows for a moment, and others pass them over.
_MOST_AT_ONCE = 64

# Of a little, a worker's part is so many documents at least: a smaller batch takes about as long,
# and parts of parts would get smaller and smaller.
_LEAST_PART = 8

# --- taken


def take(tx: Transaction, shard_id: int, worker: str, seconds: float) -> Shard | None:
    """The shard that a message names; where somebody else has it or it is over, one that the
    worker's dead child had in hand; else None.

    The worker has nothing in hand: what it seems to have, its dead child had.
    """
    own = deaths.return_own(tx, worker, seconds)
    found = (
        select(shards.c.id, shards.c.state)
        .join(jobs)
        .where(shards.c.id.in_([shard_id, *own]), workable(), SHARD_UNFINISHED, _is_free())
        .order_by(shards.c.id != shard_id, shards.c.id)
        .limit(1)
        .with_for_update(of=shards, skip_locked=True)
    )
    return next(iter(_take(tx, [*tx.execute(found)], worker, seconds)), None)


def take_next(
    tx: Transaction,
    key: ModelKey,
    worker: str,
    seconds: float,
    *,
    documents: int = 1,
    like: Sequence[Shard] = (),
    held: Sequence[Shard] = (),
    workers: int = 1,
) -> list[Shard]:
    """The next shards that the model at hand can do, in dispatch order: as many as have no more
    documents than that together with those of `like`, but one at least where there is no `like`,
    and none behind the first that does not go together with them. Where little waits, one of
    several `workers` that may come for it takes its part of it only, and that is not too small.

    While the worker has something in hand (`held`), a death need not be one over what is leased
    here, and no shard that is to be done by itself is leased.
    """
    if not held:
        deaths.return_own(tx, worker, seconds)
    free = and_(_is_free(), shards.c.id.not_in([shard.id for shard in held]))
    found = waiting.in_order(has_model(key), free, limit=_MOST_AT_ONCE)
    candidates = _with_kind(tx, [*tx.execute(found)])
    if len(candidates) < _MOST_AT_ONCE:  # but for those that somebody has locked, all there are
        part = ceil((_documents(like) + _documents(candidates)) / workers)
        documents = min(documents, max(part, _LEAST_PART))
    chosen = _together(candidates, documents, like, beside=bool(held))
    return _take(tx, chosen, worker, seconds, beside=bool(held))


def other_work_waits(tx: Transaction, key: ModelKey) -> bool:
    """Whether a worker with this model keeps somebody with another one waiting."""
    other_shard = (
        exists()
        .where(shards.c.job_id == jobs.c.id, SHARD_UNFINISHED)
        .where(shards.c.state.in_(SHARD_LEASABLE), due())
        .where(workable(), ~has_model(key))
    )
    unvalidated = exists().where(
        jobs.c.status == JobStatus.VALIDATING, jobs.c.leased_until.is_(None)
    )
    return bool(tx.execute(select(or_(other_shard, unvalidated))).scalar_one())


def _is_free() -> ColumnElement[bool]:
    """A condition on shards: it waits, or its lease ran out."""
    waits = and_(shards.c.state.in_(SHARD_LEASABLE), due())
    return or_(
        waits, and_(shards.c.state == ShardState.RUNNING, shards.c.leased_until < clock.now())
    )


def _with_kind(tx: Transaction, locked: Sequence[SqlRow[Any]]) -> list[SqlRow[Any]]:
    """With what decides which shards go together."""
    # Who takes over a lease that ran out counts that first.
    alone = or_(shards.c.alone, shards.c.state == ShardState.RUNNING).label("alone")
    kind = (
        select(shards.c.id, shards.c.state, shards.c.start, shards.c.stop, alone)
        .add_columns(jobs.c.parameters, jobs.c.priority)
        .join(jobs)
        .where(shards.c.id.in_([row.id for row in locked]))
    )
    found = {row.id: row for row in tx.execute(kind)} if locked else {}
    return [found[row.id] for row in locked]


def _together(
    rows: Iterable[SqlRow[Any]], documents: int, like: Sequence[Shard], *, beside: bool
) -> list[SqlRow[Any]]:
    """The first rows that go together, and with `like`, and have no more documents than that with
    them; but one, if there is nothing yet.

    They have the same parameters, and the same priority: another job's would be done as late,
    or as early. One that is to be done by itself goes with none.
    """
    found: list[SqlRow[Any]] = []
    kind = (like[0].effective, like[0].priority) if like else None
    own = _documents(like)
    for row in rows:
        # Not as they are stored: a job from before an upgrade lacks what is new.
        its = (Effective(**row.parameters), row.priority)
        kind = kind or its
        own += row.stop - row.start
        one_more = bool(like or found)
        if its != kind or (one_more and own > documents):
            break
        if row.alone and (one_more or beside):
            break
        found.append(row)
        if row.alone:
            break
    return found


def _documents(of: Iterable[Shard | SqlRow[Any]]) -> int:
    return sum(each.stop - each.start for each in of)


def _take(
    tx: Transaction,
    locked: Sequence[SqlRow[Any]],
    worker: str,
    seconds: float,
    *,
    beside: bool = False,
) -> list[Shard]:
    if not locked:
        return []
    expired = [row.id for row in locked if row.state == ShardState.RUNNING]
    if expired:
        deaths.count(tx, expired, seconds, heir=worker)
    leased = tx.execute(
        update(shards)
        .where(
            shards.c.id.in_([row.id for row in locked]),
            shards.c.job_id == jobs.c.id,
            shards.c.state.in_(SHARD_RUNS.sources),
        )
        .values(
            state=SHARD_RUNS.target,
            attempt=shards.c.attempt + 1,
            leased_by=worker,
            leased_until=clock.after(seconds),
            queued_at=None,
            batch_size=-int(beside),
            started_at=func.coalesce(shards.c.started_at, clock.now()),
        )
        .returning(
            shards,
            jobs.c.source,
            jobs.c.model,
            jobs.c.model_revision,
            jobs.c.engine,
            jobs.c.dtype,
            jobs.c.parameters,
            jobs.c.fair_group,
            jobs.c.priority,
            jobs.c.requested,
        )
    )
    by_id = {row.id: _shard(row) for row in leased}
    return [by_id[row.id] for row in locked]


def _shard(row: SqlRow[Any]) -> Shard:
    return Shard(
        id=row.id,
        job_id=row.job_id,
        number=row.number,
        start=row.start,
        stop=row.stop,
        position=row.position,
        attempt=row.attempt,
        deaths=row.deaths,
        false_starts=row.false_starts,
        vanished=row.vanished,
        alone=row.alone,
        suspects={int(index): alone for index, alone in row.suspects.items()},
        tries=row.tries,
        source=row.source,
        key=ModelKey(row.model, row.model_revision, row.engine, row.dtype),
        effective=Effective(**row.parameters),
        fair_group=row.fair_group,
        priority=row.priority,
        reuse=row.requested.get("reuse", True),
    )


# --- held, and given up


def renew(tx: Transaction, held: Sequence[Shard], seconds: float) -> set[int]:
    """Hold on to leases; returns the ids of those that are not lost."""
    ours = locked(tx, mine(held))
    tx.execute(
        update(shards).where(shards.c.id.in_(ours)).values(leased_until=clock.after(seconds))
    )
    return set(ours)


def hand_back(tx: Transaction, held: Sequence[Shard]) -> int:
    """Return leases unharmed: a shard ends with its job, or waits for the next worker.

    Returns how many there were still.
    """
    over = select(jobs.c.id).where(
        jobs.c.id == shards.c.job_id,
        or_(has_error(), jobs.c.status.not_in([JobStatus.IN_PROGRESS, JobStatus.PAUSED])),
    )
    state = case((exists(over), SHARD_IS_CANCELLED.target.value), else_=SHARD_RETURNS.target.value)
    returned = update(shards).where(shards.c.id.in_(locked(tx, mine(held))))
    return tx.execute(returned.values(state=state, **NOTHING_IN_HAND, **NO_LEASE)).rowcount


def try_later(tx: Transaction, shard: Shard, seconds: float, code: str, message: str) -> bool:
    """Return a lease after an error that may pass; not before `seconds` from now."""
    returned = tx.execute(
        update(shards)
        .where(mine([shard]))
        .values(
            state=SHARD_RETURNS.target,
            tries=shards.c.tries + 1,
            next_attempt_at=clock.after(seconds),
            **NOTHING_IN_HAND,
            **NO_LEASE,
        )
    ).rowcount
    if returned:
        notes.write(tx, shard.job_id, notes.trying_again(code, message, seconds))
    return bool(returned)

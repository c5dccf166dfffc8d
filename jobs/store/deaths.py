"""Leases that ended without a word: what is known of the deaths behind them.

A worker that dies with documents in hand makes them suspects: they run last and alone.
One that dies before it has begun a batch made a false start. Who hands a lease back died
of nothing. What follows from the numbers is for `worker.reader` and `worker.window` to say.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Integer, Text, and_, cast, func, or_, select, update

from jobs.database import Transaction
from jobs.states import SHARD_RETURNS
from jobs.store import clock, notes, workers
from jobs.store.conditions import NO_LEASE, NOTHING_IN_HAND, locked
from jobs.tables import JSONB, jobs, shards


def return_own(tx: Transaction, worker: str, lease_seconds: float) -> list[int]:
    """Make the shards leasable again that this worker's own dead child had in hand; returns their
    ids."""
    own = and_(shards.c.state.in_(SHARD_RETURNS.sources), shards.c.leased_by == worker)
    ids = locked(tx, own)
    if ids:
        count(tx, ids, lease_seconds, heir=worker)
        _return(tx, ids)
    return ids


def return_expired(tx: Transaction, lease_seconds: float) -> int:
    """Make the shards leasable again whose leases ran out; returns how many."""
    expired = and_(shards.c.state.in_(SHARD_RETURNS.sources), shards.c.leased_until < clock.now())
    found = select(shards.c.id).where(expired).with_for_update(skip_locked=True)
    ids = list(tx.execute(found).scalars())
    if ids:
        count(tx, ids, lease_seconds)
        _return(tx, ids)
    return len(ids)


def count(
    tx: Transaction, shard_ids: Sequence[int], lease_seconds: float, heir: str | None = None
) -> None:
    """Count what ended the leases of running shards, locked in this transaction, before they
    are returned or leased again: by `heir`, if it takes them over."""
    which = shards.c.id.in_(shard_ids)
    no_batch = and_(shards.c.batch_size == 0, _own_in_hand() == 0)
    _note_the_lost(tx, and_(which, no_batch, shards.c.leased_by.is_distinct_from(heir)))
    child = child_died(shards.c.leased_by, lease_seconds, heir)
    tx.execute(
        update(shards)
        .where(which)
        .values(
            suspects=shards.c.suspects + _suspects_in_hand(),
            deaths=shards.c.deaths + cast(and_(_own_in_hand() > 0, _in_hand() > 1), Integer),
            false_starts=shards.c.false_starts + cast(and_(no_batch, child), Integer),
            vanished=shards.c.vanished + cast(and_(no_batch, ~child), Integer),
            alone=True,
            **NOTHING_IN_HAND,
        )
    )


def _return(tx: Transaction, ids: Sequence[int]) -> None:
    returned = update(shards).where(shards.c.id.in_(ids))
    tx.execute(returned.values(state=SHARD_RETURNS.target, **NO_LEASE))


def child_died(
    leased_by: ColumnElement[str | None], lease_seconds: float, heir: str | None = None
) -> ColumnElement[bool]:
    """Whether a worker outlived its lease, so that it was the pool child that died of it:
    it is the heir itself, or it has said since that it lives. A machine that vanished has not.

    Workers say so as often as they renew leases, a few times in each.
    """
    return or_(
        leased_by.is_not_distinct_from(heir), workers.lives(leased_by, within=lease_seconds / 2)
    )


def _own_in_hand() -> ColumnElement[int]:
    """How many of the shard's documents were in hand."""
    return func.cardinality(shards.c.next_batch)


def _in_hand() -> ColumnElement[int]:
    """How many documents were in hand with the shard's own: those of other shards among them."""
    return func.greatest(shards.c.batch_size, _own_in_hand())


def _suspects_in_hand() -> ColumnElement[Any]:
    """The documents in hand, each with its deaths alone: one more for who was it now."""
    index = func.unnest(shards.c.next_batch).column_valued("index")
    key = cast(index, Text)
    so_far = func.coalesce(cast(shards.c.suspects[key].astext, Integer), 0)
    found = func.jsonb_object_agg(key, so_far + cast(_in_hand() == 1, Integer), type_=JSONB)
    none = func.jsonb_build_object(type_=JSONB)
    return select(func.coalesce(found, none)).correlate(shards).scalar_subquery()


def _note_the_lost(tx: Transaction, which: ColumnElement[bool]) -> None:
    """So that `status` says why nothing moves where a model is never ready."""
    lost = select(shards.c.job_id, shards.c.number, shards.c.leased_by).where(which)
    rows = list(tx.execute(lost))
    if not rows:
        return
    # Who cancels a job has it, and may wait for shards that are locked here: no note is worth it.
    free = select(jobs.c.id).where(jobs.c.id.in_({row.job_id for row in rows}))
    free = free.with_for_update(skip_locked=True, key_share=True)
    noted = set(tx.execute(free).scalars())
    for job_id, number, worker in rows:
        if job_id in noted:
            message = f"{worker} was gone before it began a batch of shard {number}"
            notes.write(tx, job_id, notes.trying_again("worker_died", message, 0))

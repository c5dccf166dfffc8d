"""What several queries say in the same words: conditions on jobs and on shards, the order of
work, and what a row holds that nobody has a lease on."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select, tuple_

from jobs.database import Transaction
from jobs.job import ModelKey, Shard
from jobs.states import JobStatus, ShardState
from jobs.store import clock, hours
from jobs.tables import fair_shares, jobs, shards

NO_LEASE = {"leased_by": None, "leased_until": None, "queued_at": None}

NOTHING_IN_HAND: dict[str, Any] = {"next_batch": [], "batch_size": 0}


def has_error() -> ColumnElement[bool]:
    return jobs.c.error.is_not(None)


def workable() -> ColumnElement[bool]:
    """A condition on jobs: a worker may go on with it now."""
    return and_(jobs.c.status == JobStatus.IN_PROGRESS, ~has_error(), hours.are_open())


def has_model(key: ModelKey) -> ColumnElement[bool]:
    """A condition on jobs: the model of `key`, once loaded, can do it."""
    return and_(
        jobs.c.model == key.model,
        jobs.c.model_revision == key.revision,
        jobs.c.engine == key.engine,
        jobs.c.dtype.is_not_distinct_from(key.dtype),
    )


def due() -> ColumnElement[bool]:
    """A condition on shards: not put off until later."""
    return or_(shards.c.next_attempt_at.is_(None), shards.c.next_attempt_at <= clock.now())


def mine(held: Sequence[Shard]) -> ColumnElement[bool]:
    """A condition on shards: these leases on them are not lost."""
    leases = [(shard.id, shard.attempt) for shard in held]
    return and_(
        tuple_(shards.c.id, shards.c.attempt).in_(leases), shards.c.state == ShardState.RUNNING
    )


def locked(tx: Transaction, which: ColumnElement[bool]) -> list[int]:
    """The ids of shards, locked until the transaction ends: in one order, since whoever locks
    several may meet who does so too."""
    found = select(shards.c.id).join(jobs).where(which).order_by(shards.c.id)
    return list(tx.execute(found.with_for_update(of=shards)).scalars())


def job_order(of: Any = None) -> tuple[ColumnElement[Any], ...]:
    """By priority, then fairly between groups, then oldest first: of jobs and their counters, or
    of columns that are named as theirs."""
    tokens = fair_shares.c.tokens if of is None else of.tokens
    columns = jobs.c if of is None else of
    return (columns.priority.desc(), tokens, columns.created_at, columns.id)

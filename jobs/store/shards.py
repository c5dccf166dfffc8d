"""Shards as workers have them: leased, worked through, and given back.

A lease is a right to a shard until `leased_until` by the database's clock. Its
`attempt` is the fencing token: whoever holds an older one changes no row.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Select,
    Text,
    and_,
    case,
    cast,
    exists,
    func,
    or_,
    select,
    update,
)
from sqlalchemy import Row as SqlRow

from jobs.database import Transaction
from jobs.job import ModelKey, Row, Shard
from jobs.parameters import Effective
from jobs.states import (
    SHARD_IS_CANCELLED,
    SHARD_IS_DONE,
    SHARD_LEASABLE,
    SHARD_RETURNS,
    SHARD_RUNS,
    JobStatus,
    ShardState,
)
from jobs.store import clock, deaths, fairness, notes, summaries, waiting
from jobs.store.conditions import (
    NO_LEASE,
    dispatch_order,
    due,
    has_error,
    has_model,
    workable,
)
from jobs.tables import SHARD_UNFINISHED, fair_shares, jobs, shards

# --- leasing


def lease(tx: Transaction, shard_id: int, worker: str, seconds: float) -> Shard | None:
    """The shard that a message names; None where somebody else has it or it is over."""
    return _lease(tx, worker, seconds, _one(shards.c.id == shard_id, worker))


def lease_next(tx: Transaction, key: ModelKey, worker: str, seconds: float) -> Shard | None:
    """Any shard that the model at hand can do, in dispatch order."""
    return _lease(tx, worker, seconds, waiting.in_order(has_model(key), _is_free(worker), limit=1))


def lease_orphan(tx: Transaction, worker: str, seconds: float) -> Shard | None:
    """A shard that this worker's own dead child had in hand."""
    mine = and_(shards.c.state == ShardState.RUNNING, shards.c.leased_by == worker)
    return _lease(tx, worker, seconds, _one(mine, worker))


def renew(tx: Transaction, shard: Shard, seconds: float) -> bool:
    """Hold on to the lease; False where it has been lost."""
    return bool(
        tx.execute(
            update(shards).where(_mine(shard)).values(leased_until=clock.after(seconds))
        ).rowcount
    )


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


def _one(which: ColumnElement[bool], worker: str) -> Select[Any]:
    """The first shard of few, locked."""
    return (
        select(shards.c.id, shards.c.state)
        .join(jobs)
        .outerjoin(fair_shares, fairness.of_job())
        .where(which, workable(), SHARD_UNFINISHED, _is_free(worker))
        .order_by(*dispatch_order())
        .limit(1)
        .with_for_update(of=shards, skip_locked=True)
    )


def _is_free(worker: str) -> ColumnElement[bool]:
    """A condition on shards: it waits, or who had it has died."""
    waits = and_(shards.c.state.in_(SHARD_LEASABLE), due())
    orphaned = and_(
        shards.c.state == ShardState.RUNNING,
        or_(shards.c.leased_by == worker, shards.c.leased_until < clock.now()),
    )
    return or_(waits, orphaned)


def _lease(tx: Transaction, worker: str, seconds: float, free: Select[Any]) -> Shard | None:
    found = tx.execute(free).one_or_none()
    if found is None:
        return None
    if found.state == ShardState.RUNNING:
        deaths.count(tx, [found.id], seconds, heir=worker)
    leased = tx.execute(
        update(shards)
        .where(
            shards.c.id == found.id,
            shards.c.job_id == jobs.c.id,
            shards.c.state.in_(SHARD_RUNS.sources),
        )
        .values(
            state=SHARD_RUNS.target,
            attempt=shards.c.attempt + 1,
            leased_by=worker,
            leased_until=clock.after(seconds),
            queued_at=None,
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
        )
    ).one()
    return _shard(leased)


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
        suspects={int(index): alone for index, alone in row.suspects.items()},
        tries=row.tries,
        source=row.source,
        key=ModelKey(row.model, row.model_revision, row.engine, row.dtype),
        effective=Effective(**row.parameters),
        fair_group=row.fair_group,
    )


# --- working


def store(
    tx: Transaction,
    shard: Shard,
    rows: Sequence[Row],
    next_batch: Iterable[int],
    *,
    done: bool,
    lease_seconds: float,
    busy_seconds: float,
) -> bool:
    """Store one batch's rows and write down the next; `done` closes the shard.

    `busy_seconds` is what they took since the lease or the last store. The fence
    comes first: False, and nothing is stored, where the lease has been lost. Counts
    grow by what was actually inserted.
    """
    mine = tx.execute(select(shards.c.id).where(_mine(shard)).with_for_update()).one_or_none()
    if mine is None:
        return False
    in_hand = list(next_batch)
    stored = summaries.add(tx, shard.job_id, rows)
    failed = sum(row.error_code is not None for row in stored)
    read = sum(row.input_tokens for row in stored)
    written = sum(row.output_tokens for row in stored)
    progress: dict[str, Any] = {
        "completed": shards.c.completed + len(stored) - failed,
        "failed": shards.c.failed + failed,
        "input_tokens": shards.c.input_tokens + read,
        "output_tokens": shards.c.output_tokens + written,
        "busy_seconds": shards.c.busy_seconds + busy_seconds,
        "suspects": shards.c.suspects.op("-")(cast([str(row.index) for row in rows], ARRAY(Text))),
        "next_batch": in_hand,
        "leased_until": clock.after(lease_seconds),
    }
    if stored:
        progress |= {"tries": 0}
    if in_hand:
        progress |= {"false_starts": 0, "vanished": 0}
    if done:
        progress |= {"state": SHARD_IS_DONE.target, "finished_at": clock.now(), **NO_LEASE}
    tx.execute(update(shards).where(shards.c.id == shard.id).values(**progress))
    if stored:
        notes.clear(tx, shard.job_id)
    # The last lock: it is shared with all who serve the same group.
    if read + written:
        fairness.charge(tx, shard.fair_group, read + written)
    return True


def job_goes_on(tx: Transaction, job_id: str) -> bool:
    """Whether a worker should go on with the job: in progress, not failed, its window open."""
    goes_on = select(jobs.c.id).where(jobs.c.id == job_id, workable())
    return tx.execute(goes_on).one_or_none() is not None


def hand_back(tx: Transaction, shard: Shard) -> bool:
    """Return a lease unharmed: the shard ends with its job, or waits for the next worker."""
    over = select(jobs.c.id).where(
        jobs.c.id == shard.job_id,
        or_(has_error(), jobs.c.status.not_in([JobStatus.IN_PROGRESS, JobStatus.PAUSED])),
    )
    state = case((exists(over), SHARD_IS_CANCELLED.target.value), else_=SHARD_RETURNS.target.value)
    return bool(
        tx.execute(
            update(shards).where(_mine(shard)).values(state=state, next_batch=[], **NO_LEASE)
        ).rowcount
    )


def try_later(tx: Transaction, shard: Shard, seconds: float, code: str, message: str) -> bool:
    """Return a lease after an error that may pass; not before `seconds` from now."""
    returned = tx.execute(
        update(shards)
        .where(_mine(shard))
        .values(
            state=SHARD_RETURNS.target,
            tries=shards.c.tries + 1,
            next_attempt_at=clock.after(seconds),
            next_batch=[],
            **NO_LEASE,
        )
    ).rowcount
    if returned:
        notes.write(tx, shard.job_id, notes.trying_again(code, message, seconds))
    return bool(returned)


def _mine(shard: Shard) -> ColumnElement[bool]:
    return and_(
        shards.c.id == shard.id,
        shards.c.attempt == shard.attempt,
        shards.c.state == ShardState.RUNNING,
    )

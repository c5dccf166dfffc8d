"""Shards as workers have them: leased, worked through, and given back.

A lease is a right to a shard until `leased_until` by the database's clock. Its
`attempt` is the fencing token: whoever holds an older one changes no row.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Text,
    and_,
    case,
    cast,
    exists,
    func,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy import Row as SqlRow

from jobs.database import Transaction
from jobs.job import ModelKey, Portion, Shard
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
from jobs.store import clock, deaths, fairness, notes, summaries
from jobs.store.conditions import (
    NO_LEASE,
    NOTHING_IN_HAND,
    dispatch_order,
    due,
    has_error,
    has_model,
    workable,
)
from jobs.tables import SHARD_UNFINISHED, fair_shares, jobs, shards

# Whoever leases locks so many rows for a moment, and others find them locked.
_MOST_AT_ONCE = 64

# --- leasing


def lease(tx: Transaction, shard_id: int, worker: str, seconds: float) -> Shard | None:
    """The shard that a message names; None where somebody else has it or it is over."""
    return next(iter(_lease(tx, worker, seconds, shards.c.id == shard_id)), None)


def lease_orphan(tx: Transaction, worker: str, seconds: float) -> Shard | None:
    """A shard that this worker's own dead child had in hand."""
    mine = and_(shards.c.state == ShardState.RUNNING, shards.c.leased_by == worker)
    return next(iter(_lease(tx, worker, seconds, mine)), None)


def lease_more(
    tx: Transaction,
    key: ModelKey,
    worker: str,
    seconds: float,
    *,
    documents: int = 1,
    in_hand: Sequence[int] = (),
) -> list[Shard]:
    """The next shards that the model at hand can do, in dispatch order: as many as it takes to
    have that many documents, but few of those there are.

    `in_hand` are the shards that the worker has already: they are not leased again, and while
    there are some, a death need not be one over what is leased here.
    """
    which = and_(has_model(key), shards.c.id.not_in(in_hand))
    return _lease(tx, worker, seconds, which, documents=documents, beside=bool(in_hand))


def renew(tx: Transaction, held: Sequence[Shard], seconds: float) -> set[int]:
    """Hold on to leases; returns the ids of those that are not lost."""
    held_on = update(shards).where(_mine(held)).values(leased_until=clock.after(seconds))
    return set(tx.execute(held_on.returning(shards.c.id)).scalars())


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


def _lease(
    tx: Transaction,
    worker: str,
    seconds: float,
    which: ColumnElement[bool],
    *,
    documents: int = 1,
    beside: bool = False,
) -> list[Shard]:
    waiting = and_(shards.c.state.in_(SHARD_LEASABLE), due())
    orphaned = and_(
        shards.c.state == ShardState.RUNNING,
        or_(shards.c.leased_by == worker, shards.c.leased_until < clock.now()),
    )
    free = (
        select(shards.c.id, shards.c.state, (shards.c.stop - shards.c.start).label("documents"))
        .join(jobs)
        .outerjoin(fair_shares, fairness.of_job())
        .where(which, workable(), SHARD_UNFINISHED, or_(waiting, orphaned))
        .order_by(*dispatch_order())
        # Of small shards it takes many; those that are locked here and not leased are others'
        # again at once.
        .limit(min(documents, _MOST_AT_ONCE))
        .with_for_update(of=shards, skip_locked=True)
    )
    found = _enough(tx.execute(free), documents)
    if not found:
        return []
    orphans = [row.id for row in found if row.state == ShardState.RUNNING]
    if orphans:
        deaths.count(tx, orphans, seconds, heir=worker)
    leased = tx.execute(
        update(shards)
        .where(
            shards.c.id.in_([row.id for row in found]),
            shards.c.job_id == jobs.c.id,
            shards.c.state.in_(SHARD_RUNS.sources),
        )
        .values(
            state=SHARD_RUNS.target,
            attempt=shards.c.attempt + 1,
            leased_by=worker,
            leased_until=clock.after(seconds),
            queued_at=None,
            batch_size=int(beside),
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
        )
    )
    by_id = {row.id: _shard(row) for row in leased}
    return [by_id[row.id] for row in found]


def _enough(rows: Iterable[SqlRow[Any]], documents: int) -> list[SqlRow[Any]]:
    """The first of them that have so many documents together."""
    found = []
    for row in rows:
        if documents <= 0:
            break
        found.append(row)
        documents -= row.documents
    return found


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
    )


# --- working


def announce(
    tx: Transaction, held: Sequence[Shard], batch: Mapping[int, Sequence[int]], seconds: float
) -> set[int]:
    """Write down the batch that is begun next: by shard the documents, none for one that is
    only held meanwhile.

    The fence comes first. Returns the ids of the shards whose leases are not lost, and whose
    jobs go on; of the others nothing is written down.
    """
    mine = select(shards.c.id).join(jobs).where(_mine(held), workable())
    locked = mine.order_by(shards.c.id).with_for_update(of=shards)
    going_on = set(tx.execute(locked).scalars())
    size = sum(len(indexes) for shard_id, indexes in batch.items() if shard_id in going_on)
    for shard_id in sorted(going_on):
        indexes = list(batch.get(shard_id, ()))
        begun = {"false_starts": 0, "vanished": 0} if indexes else {}
        tx.execute(
            update(shards)
            .where(shards.c.id == shard_id)
            .values(next_batch=indexes, batch_size=size, leased_until=clock.after(seconds), **begun)
        )
    return going_on


def store(tx: Transaction, portions: Sequence[Portion], seconds: float) -> set[int]:
    """Store rows, and close the shards whose last rows they are.

    The fence comes first. Returns the ids of the shards whose leases are not lost; of the
    others nothing is stored. Counts grow by what was actually inserted.
    """
    mine = _mine([portion.shard for portion in portions])
    locked = select(shards.c.id).where(mine).order_by(shards.c.id).with_for_update()
    ours = set(tx.execute(locked).scalars())
    served: Counter[str] = Counter()
    for portion in portions:
        if portion.shard.id in ours:
            served[portion.shard.fair_group] += _store(tx, portion, seconds)
    # The last locks, and in one order: they are shared with all who serve the same groups.
    for group, tokens in sorted(served.items()):
        if tokens:
            fairness.charge(tx, group, tokens)
    return ours


def _store(tx: Transaction, portion: Portion, seconds: float) -> int:
    """Returns how many tokens its job was served."""
    shard, rows, batching = portion.shard, portion.rows, portion.batching
    busy_seconds = batching.generating_seconds + batching.waiting_seconds
    stored = summaries.add(tx, shard.job_id, rows)
    failed = sum(row.error_code is not None for row in stored)
    read = sum(row.input_tokens for row in stored)
    written = sum(row.output_tokens for row in stored)
    over = [row.index for row in rows]
    progress: dict[str, Any] = {
        "completed": shards.c.completed + len(stored) - failed,
        "failed": shards.c.failed + failed,
        "input_tokens": shards.c.input_tokens + read,
        "output_tokens": shards.c.output_tokens + written,
        "busy_seconds": shards.c.busy_seconds + busy_seconds,
        **{name: shards.c[name] + more for name, more in asdict(batching).items()},
        "suspects": shards.c.suspects.op("-")(cast([str(index) for index in over], ARRAY(Text))),
        "next_batch": _without(over),
        "leased_until": clock.after(seconds),
    }
    if stored:
        progress |= {"tries": 0}
    if portion.done:
        progress |= {"state": SHARD_IS_DONE.target, "finished_at": clock.now()}
        progress |= {**NO_LEASE, **NOTHING_IN_HAND}
    tx.execute(update(shards).where(shards.c.id == shard.id).values(**progress))
    if stored:
        notes.clear(tx, shard.job_id)
    return read + written


def _without(over: Sequence[int]) -> ColumnElement[Any]:
    """The batch at hand without documents that are over: nobody dies of those any more."""
    index = func.unnest(shards.c.next_batch).column_valued("index")
    left = select(index).correlate(shards).where(index.not_in(over))
    return func.array(left.scalar_subquery(), type_=ARRAY(BigInteger))


def hand_back(tx: Transaction, held: Sequence[Shard]) -> int:
    """Return leases unharmed: a shard ends with its job, or waits for the next worker.

    Returns how many there were still.
    """
    over = select(jobs.c.id).where(
        jobs.c.id == shards.c.job_id,
        or_(has_error(), jobs.c.status.not_in([JobStatus.IN_PROGRESS, JobStatus.PAUSED])),
    )
    state = case((exists(over), SHARD_IS_CANCELLED.target.value), else_=SHARD_RETURNS.target.value)
    returned = update(shards).where(_mine(held))
    return tx.execute(returned.values(state=state, **NOTHING_IN_HAND, **NO_LEASE)).rowcount


def try_later(tx: Transaction, shard: Shard, seconds: float, code: str, message: str) -> bool:
    """Return a lease after an error that may pass; not before `seconds` from now."""
    returned = tx.execute(
        update(shards)
        .where(_mine([shard]))
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


def _mine(held: Sequence[Shard]) -> ColumnElement[bool]:
    leases = [(shard.id, shard.attempt) for shard in held]
    return and_(
        tuple_(shards.c.id, shards.c.attempt).in_(leases), shards.c.state == ShardState.RUNNING
    )

"""Shards: every change of state, every lease, and the fence before every store.

A lease is a right to a shard until `leased_until` by the database's clock. Its
`attempt` is the fencing token: whoever holds an older one changes no row.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Double,
    Integer,
    Subquery,
    and_,
    case,
    cast,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy import (
    Row as SqlRow,
)

from jobs.database import Transaction
from jobs.job import ModelKey, NewShard, Row, Sample, Shard
from jobs.parameters import Effective
from jobs.states import (
    JOB_UNFINISHED,
    SHARD_IS_CANCELLED,
    SHARD_IS_DONE,
    SHARD_LEASABLE,
    SHARD_QUEUES,
    SHARD_RETRIES,
    SHARD_RETURNS,
    SHARD_RUNS,
    SHARD_UNQUEUES,
    JobStatus,
    ShardState,
)
from jobs.store import clock, fairness, hours, notes, summaries
from jobs.tables import SHARD_UNFINISHED, fair_shares, jobs, shards

_NO_LEASE = {"leased_by": None, "leased_until": None, "queued_at": None}
_AGAIN: dict[str, Any] = {
    "state": SHARD_RETRIES.target,
    "finished_at": None,
    "deaths": 0,
    "tries": 0,
    "next_attempt_at": None,
    "next_batch": [],
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


# --- dispatching


def queue_due(tx: Transaction, limit: int, resend_after: float) -> list[int]:
    """Mark up to `limit` shards as sent and return their ids, in the order to send them.

    First those whose message may be lost, sent longest ago; then new ones.
    """
    lost = (
        select(shards.c.id)
        .where(shards.c.state == ShardState.QUEUED, _sent_before(resend_after), workable())
        .join(jobs)
        .order_by(shards.c.queued_at)
    )
    ids = _mark_sent(tx, lost, limit)
    if len(ids) < limit:
        new = (
            select(shards.c.id)
            .where(shards.c.state == ShardState.PENDING, SHARD_UNFINISHED, due(), workable())
            .join(jobs)
            .outerjoin(fair_shares, fairness.of_job())
            .order_by(*_dispatch_order())
        )
        ids += _mark_sent(tx, new, limit - len(ids))
    return ids


def return_expired(tx: Transaction) -> int:
    """Make the shards of dead workers leasable again; each counts as a death."""
    expired = (
        update(shards)
        .where(shards.c.state.in_(SHARD_RETURNS.sources), shards.c.leased_until < clock.now())
        .values(state=SHARD_RETURNS.target, deaths=shards.c.deaths + 1, **_NO_LEASE)
    )
    return tx.execute(expired).rowcount


def cancel_unstarted_of_ending(tx: Transaction) -> int:
    """Give up what is left of jobs that an error or a user has ended."""
    ending = or_(
        and_(jobs.c.status.in_(JOB_UNFINISHED), _has_error()),
        jobs.c.status == JobStatus.CANCELLING,
    )
    # The job before its shards, as whoever cancels one locks them; who holds one now does it.
    free = select(jobs.c.id).where(ending).with_for_update(skip_locked=True)
    found = list(tx.execute(free).scalars())
    return tx.execute(_cancel(shards.c.job_id.in_(found))).rowcount if found else 0


def cancel_unstarted(tx: Transaction, job_id: str) -> int:
    return tx.execute(_cancel(shards.c.job_id == job_id)).rowcount


def unqueue(tx: Transaction, job_id: str) -> int:
    """Forget the messages of a job that was paused; they will find nothing to do."""
    queued = and_(shards.c.job_id == job_id, shards.c.state.in_(SHARD_UNQUEUES.sources))
    return tx.execute(
        update(shards).where(queued).values(state=SHARD_UNQUEUES.target, queued_at=None)
    ).rowcount


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


# --- looking


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


# --- leasing


def lease(tx: Transaction, shard_id: int, worker: str, seconds: float) -> Shard | None:
    """The shard that a message names; None where somebody else has it or it is over."""
    return _lease(tx, worker, seconds, shards.c.id == shard_id)


def lease_next(tx: Transaction, key: ModelKey, worker: str, seconds: float) -> Shard | None:
    """Any shard that the model at hand can do, in dispatch order."""
    same = and_(
        jobs.c.model == key.model,
        jobs.c.model_revision == key.revision,
        jobs.c.engine == key.engine,
        jobs.c.dtype.is_not_distinct_from(key.dtype),
    )
    return _lease(tx, worker, seconds, same)


def lease_orphan(tx: Transaction, worker: str, seconds: float) -> Shard | None:
    """A shard that this worker's own dead child had in hand."""
    mine = and_(shards.c.state == ShardState.RUNNING, shards.c.leased_by == worker)
    return _lease(tx, worker, seconds, mine)


def renew(tx: Transaction, shard: Shard, seconds: float) -> bool:
    """Hold on to the lease; False where it has been lost."""
    return bool(
        tx.execute(
            update(shards).where(_mine(shard)).values(leased_until=clock.after(seconds))
        ).rowcount
    )


def other_work_waits(tx: Transaction, key: ModelKey) -> bool:
    """Whether a worker with this model keeps somebody with another one waiting."""
    same = and_(
        jobs.c.model == key.model,
        jobs.c.model_revision == key.revision,
        jobs.c.engine == key.engine,
        jobs.c.dtype.is_not_distinct_from(key.dtype),
    )
    other_shard = (
        exists()
        .where(shards.c.job_id == jobs.c.id, SHARD_UNFINISHED)
        .where(shards.c.state.in_(SHARD_LEASABLE), due())
        .where(workable(), ~same)
    )
    unvalidated = exists().where(
        jobs.c.status == JobStatus.VALIDATING, jobs.c.leased_until.is_(None)
    )
    return bool(tx.execute(select(or_(other_shard, unvalidated))).scalar_one())


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
        "next_batch": list(next_batch),
        "leased_until": clock.after(lease_seconds),
    }
    if stored:
        progress |= {"deaths": 0, "tries": 0}
    if done:
        progress |= {"state": SHARD_IS_DONE.target, "finished_at": clock.now(), **_NO_LEASE}
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
        or_(_has_error(), jobs.c.status.not_in([JobStatus.IN_PROGRESS, JobStatus.PAUSED])),
    )
    state = case((exists(over), SHARD_IS_CANCELLED.target.value), else_=SHARD_RETURNS.target.value)
    return bool(
        tx.execute(
            update(shards).where(_mine(shard)).values(state=state, next_batch=[], **_NO_LEASE)
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
            **_NO_LEASE,
        )
    ).rowcount
    if returned:
        notes.write(tx, shard.job_id, notes.trying_again(code, message, seconds))
    return bool(returned)


# --- conditions


def _mine(shard: Shard) -> ColumnElement[bool]:
    return and_(
        shards.c.id == shard.id,
        shards.c.attempt == shard.attempt,
        shards.c.state == ShardState.RUNNING,
    )


def _has_error() -> ColumnElement[bool]:
    return jobs.c.error.is_not(None)


def workable() -> ColumnElement[bool]:
    """A condition on jobs: a worker may go on with it now."""
    return and_(jobs.c.status == JobStatus.IN_PROGRESS, ~_has_error(), hours.are_open())


def due() -> ColumnElement[bool]:
    """A condition on shards: not put off until later."""
    return or_(shards.c.next_attempt_at.is_(None), shards.c.next_attempt_at <= clock.now())


def _sent_before(seconds: float) -> ColumnElement[bool]:
    return shards.c.queued_at < clock.before(seconds)


def _dispatch_order() -> tuple[ColumnElement[Any], ...]:
    """By priority, then fairly between groups, then oldest first."""
    return (
        jobs.c.priority.desc(),
        fair_shares.c.tokens,
        jobs.c.created_at,
        jobs.c.id,
        shards.c.number,
    )


def _cancel(which: ColumnElement[bool]) -> Any:
    return (
        update(shards)
        .where(which, SHARD_UNFINISHED)
        .where(shards.c.state.in_(SHARD_LEASABLE & SHARD_IS_CANCELLED.sources))
        .values(state=SHARD_IS_CANCELLED.target, finished_at=clock.now(), **_NO_LEASE)
    )


def _mark_sent(tx: Transaction, candidates: Any, limit: int) -> list[int]:
    chosen = list(
        tx.execute(candidates.limit(limit).with_for_update(of=shards, skip_locked=True)).scalars()
    )
    if chosen:
        tx.execute(
            update(shards)
            .where(shards.c.id.in_(chosen), shards.c.state.in_(SHARD_QUEUES.sources))
            .values(state=SHARD_QUEUES.target, queued_at=clock.now())
        )
    return chosen


def _lease(
    tx: Transaction, worker: str, seconds: float, which: ColumnElement[bool]
) -> Shard | None:
    waiting = and_(shards.c.state.in_(SHARD_LEASABLE), due())
    orphaned = and_(
        shards.c.state == ShardState.RUNNING,
        or_(shards.c.leased_by == worker, shards.c.leased_until < clock.now()),
    )
    free = (
        select(shards.c.id)
        .join(jobs)
        .outerjoin(fair_shares, fairness.of_job())
        .where(which, workable(), SHARD_UNFINISHED, or_(waiting, orphaned))
        .order_by(*_dispatch_order())
        .limit(1)
        .with_for_update(of=shards, skip_locked=True)
    )
    died = cast(shards.c.state == ShardState.RUNNING, Integer)
    leased = tx.execute(
        update(shards)
        .where(
            shards.c.id == free.scalar_subquery(),
            shards.c.job_id == jobs.c.id,
            shards.c.state.in_(SHARD_RUNS.sources),
        )
        .values(
            state=SHARD_RUNS.target,
            attempt=shards.c.attempt + 1,
            leased_by=worker,
            leased_until=clock.after(seconds),
            queued_at=None,
            deaths=shards.c.deaths + died,
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
    ).one_or_none()
    return None if leased is None else _shard(leased)


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
        tries=row.tries,
        next_batch=tuple(row.next_batch),
        source=row.source,
        key=ModelKey(row.model, row.model_revision, row.engine, row.dtype),
        effective=Effective(**row.parameters),
        fair_group=row.fair_group,
    )

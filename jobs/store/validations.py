"""Validating: the lease on a job whose model and parameters a worker resolves.

One message does all waiting jobs of a model. `attempt` is the fencing token, as
for shards: whoever lost the lease changes nothing.
"""

from typing import Any

from sqlalchemy import ColumnElement, Integer, and_, cast, or_, select, update
from sqlalchemy.dialects.postgresql import distinct_on

from jobs.database import Transaction
from jobs.job import ModelKey, Validation
from jobs.parameters import Effective
from jobs.states import JOB_IS_REFUSED, JOB_IS_REPORTED, JOB_STARTS, JobStatus
from jobs.store import clock, deaths, fairness, notes, queueing
from jobs.store.conditions import NO_LEASE
from jobs.tables import jobs


def queue_due(tx: Transaction, limit: int, resend_after: float) -> list[str]:
    """Mark up to `limit` waiting jobs as sent, one for each model, and return their ids.

    One message does all waiting jobs of its model.
    """
    waiting = and_(_waits(), _free(), _due())
    unsent = or_(jobs.c.queued_at.is_(None), jobs.c.queued_at < clock.before(resend_after))
    oldest = (
        select(jobs.c.id, jobs.c.model, jobs.c.queued_at)
        .where(waiting)
        .ext(distinct_on(jobs.c.model))
        .order_by(jobs.c.model, jobs.c.priority.desc(), jobs.c.created_at, jobs.c.id)
        .subquery()
    )
    due = select(jobs.c.id).where(jobs.c.id.in_(select(oldest.c.id)), unsent).limit(limit)
    chosen = list(tx.execute(due).scalars())
    if chosen:
        tx.execute(update(jobs).where(jobs.c.id.in_(chosen)).values(queued_at=clock.now()))
    return chosen


def lease(tx: Transaction, job_id: str, worker: str, seconds: float) -> Validation | None:
    """The job that a message names, or another of its model; None where none waits."""
    model = select(jobs.c.model).where(jobs.c.id == job_id).scalar_subquery()
    orphaned = or_(jobs.c.leased_by == worker, jobs.c.leased_until < clock.now())
    free = (
        select(jobs.c.id)
        .where(
            jobs.c.model == model,
            _waits(),
            or_(and_(_free(), _due()), orphaned),
        )
        .order_by(jobs.c.priority.desc(), jobs.c.created_at, jobs.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    waited = jobs.c.leased_by.is_(None)
    died = and_(~waited, deaths.child_died(jobs.c.leased_by, seconds, heir=worker))
    row = tx.execute(
        update(jobs)
        .where(jobs.c.id == free.scalar_subquery(), jobs.c.status == JobStatus.VALIDATING)
        .values(
            attempt=jobs.c.attempt + 1,
            leased_by=worker,
            leased_until=clock.after(seconds),
            deaths=jobs.c.deaths + cast(died, Integer),
        )
        .returning(jobs)
    ).one_or_none()
    if row is None:
        return None
    return Validation(
        job_id=row.id,
        attempt=row.attempt,
        deaths=row.deaths,
        tries=row.tries,
        model=row.model,
        requested=row.requested,
        source=row.source,
        dry_run=row.dry_run,
        total=row.total,
        shard_size=row.shard_size,
        run_window=row.run_window,
    )


def renew(tx: Transaction, validation: Validation, seconds: float) -> bool:
    return _change(tx, _mine(validation), leased_until=clock.after(seconds))


def hand_back(tx: Transaction, validation: Validation) -> bool:
    return _change(tx, _mine(validation), **NO_LEASE)


def try_later(
    tx: Transaction, validation: Validation, seconds: float, code: str, message: str
) -> bool:
    """Return a lease after an error that may pass; not before `seconds` from now."""
    return _change(
        tx,
        _mine(validation),
        tries=jobs.c.tries + 1,
        next_attempt_at=clock.after(seconds),
        note=notes.trying_again(code, message, seconds),
        **NO_LEASE,
    )


def start(
    tx: Transaction,
    validation: Validation,
    key: ModelKey,
    effective: Effective,
    fallback: str | None = None,
    forecast: dict[str, Any] | None = None,
) -> bool:
    """Validation is over: keep what was settled, why it is not the fastest engine where it is
    not, and how long it will take. False where the lease has been lost."""
    started = _change(
        tx,
        _mine(validation),
        status=JOB_STARTS.target,
        started_at=clock.now(),
        fallback=fallback,
        forecast=forecast,
        **_settled(key, effective),
    )
    if started:
        fairness.join(tx, validation.job_id)
    return started


def report(
    tx: Transaction,
    validation: Validation,
    key: ModelKey,
    effective: Effective,
    fallback: str | None,
    forecast: dict[str, Any] | None,
    found: dict[str, Any],
) -> bool:
    """A dry run is over: keep what was settled and found. None of its documents is touched."""
    reported = _change(
        tx,
        _mine(validation),
        status=JOB_IS_REPORTED.target,
        report=found,
        fallback=fallback,
        forecast=forecast,
        finished_at=clock.now(),
        **_settled(key, effective),
    )
    if reported:
        queueing.cancel_unstarted(tx, validation.job_id)
    return reported


def refuse(tx: Transaction, validation: Validation, code: str, message: str) -> bool:
    """The model, the parameters or the source can not be used: the job has failed."""
    refused = _change(
        tx,
        _mine(validation),
        status=JOB_IS_REFUSED.target,
        error={"code": code, "message": message},
        note=None,
        finished_at=clock.now(),
        **NO_LEASE,
    )
    if refused:
        queueing.cancel_unstarted(tx, validation.job_id)
    return refused


def return_expired(tx: Transaction, lease_seconds: float) -> int:
    """Make the jobs leasable again whose leases ran out; returns how many."""
    died = deaths.child_died(jobs.c.leased_by, lease_seconds)
    expired = (
        update(jobs)
        .where(jobs.c.status == JobStatus.VALIDATING, jobs.c.leased_until < clock.now())
        .values(deaths=jobs.c.deaths + cast(died, Integer), **NO_LEASE)
    )
    return tx.execute(expired).rowcount


# --- conditions


def _waits() -> ColumnElement[bool]:
    return and_(jobs.c.status == JobStatus.VALIDATING, jobs.c.error.is_(None))


def _free() -> ColumnElement[bool]:
    return jobs.c.leased_by.is_(None)


def _due() -> ColumnElement[bool]:
    return or_(jobs.c.next_attempt_at.is_(None), jobs.c.next_attempt_at <= clock.now())


def _mine(validation: Validation) -> ColumnElement[bool]:
    return and_(
        jobs.c.id == validation.job_id,
        jobs.c.attempt == validation.attempt,
        jobs.c.leased_by.is_not(None),
        _waits(),
    )


def _settled(key: ModelKey, effective: Effective) -> dict[str, Any]:
    return {
        "model_revision": key.revision,
        "engine": key.engine,
        "dtype": key.dtype,
        "parameters": effective.model_dump(mode="json"),
        "deaths": 0,
        "tries": 0,
        "next_attempt_at": None,
        "note": None,
        **NO_LEASE,
    }


def _change(tx: Transaction, which: ColumnElement[bool], **values: Any) -> bool:
    return bool(tx.execute(update(jobs).where(which).values(**values)).rowcount)

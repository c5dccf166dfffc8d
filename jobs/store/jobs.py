"""Jobs: submitted, validated, watched, and closed when their last shard is over."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    and_,
    case,
    cast,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import distinct_on

from jobs.database import Transaction
from jobs.errors import NotFound, UsageError
from jobs.job import ModelKey, NewJob, Validation
from jobs.parameters import Effective
from jobs.states import (
    JOB_COMPLETES,
    JOB_FAILS,
    JOB_FINALIZES,
    JOB_OVER,
    JOB_STARTS,
    JobStatus,
)
from jobs.store import clock
from jobs.store import shards as shard_store
from jobs.tables import SHARD_UNFINISHED, jobs, shards

_ID_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_SUMS = ("completed", "failed", "reused", "input_tokens", "output_tokens")
_NO_LEASE = {"leased_by": None, "leased_until": None, "queued_at": None}


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job as it stands, its counts summed over its shards."""

    id: str
    name: str | None
    status: JobStatus
    model: str
    model_revision: str | None
    engine: str | None
    dtype: str | None
    source: dict[str, Any]
    requested: dict[str, Any]
    parameters: dict[str, Any] | None
    labels: dict[str, str]
    priority: int
    total: int | None
    completed: int
    failed: int
    reused: int
    input_tokens: int
    output_tokens: int
    error: dict[str, str] | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    seconds: float | None
    """How long it has run, by the database's clock; None until it starts."""


def new_id() -> str:
    return "job_" + "".join(secrets.choice(_ID_ALPHABET) for _ in range(12))


def add(tx: Transaction, job: NewJob) -> None:
    tx.execute(
        insert(jobs).values(
            id=job.id,
            name=job.name,
            status=JobStatus.VALIDATING,
            model=job.model,
            requested=job.requested,
            source=job.source,
            labels=job.labels,
            shard_size=job.shard_size,
        )
    )


def set_total(tx: Transaction, job_id: str, total: int) -> None:
    tx.execute(update(jobs).where(jobs.c.id == job_id).values(total=total))


# --- looking


def find(tx: Transaction, prefix: str) -> str:
    """The id that `prefix` begins. Raises NotFound, and UsageError where several fit."""
    wanted = prefix if prefix.startswith("job_") else f"job_{prefix}"
    fits = jobs.c.id.startswith(wanted, autoescape=True)
    found = list(tx.execute(select(jobs.c.id).where(fits).order_by(jobs.c.id).limit(3)).scalars())
    if not found:
        raise NotFound(f"no job {prefix!r}; `gistmill ls` lists them")
    if len(found) > 1 and wanted not in found:
        raise UsageError(f"{prefix!r} fits several jobs ({', '.join(found)}); write more of it")
    return wanted if wanted in found else found[0]


def get(tx: Transaction, job_id: str) -> JobRecord:
    """Raises NotFound."""
    row = tx.execute(_records().where(jobs.c.id == job_id)).mappings().one_or_none()
    if row is None:
        raise NotFound(f"no job {job_id!r}; `gistmill ls` lists them")
    return _record(row)


def latest(tx: Transaction, limit: int) -> list[JobRecord]:
    """Newest first."""
    newest = _records().order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(limit)
    return [_record(row) for row in tx.execute(newest).mappings()]


# --- validating


def queue_due_validations(tx: Transaction, limit: int, resend_after: float) -> list[str]:
    """Mark up to `limit` waiting jobs as sent, one for each model, and return their ids.

    One message does all waiting jobs of its model.
    """
    waiting = and_(jobs.c.status == JobStatus.VALIDATING, _free(), _due())
    unsent = or_(jobs.c.queued_at.is_(None), jobs.c.queued_at < clock.before(resend_after))
    oldest = (
        select(jobs.c.id, jobs.c.model, jobs.c.queued_at)
        .where(waiting)
        .ext(distinct_on(jobs.c.model))
        .order_by(jobs.c.model, jobs.c.created_at, jobs.c.id)
        .subquery()
    )
    due = select(jobs.c.id).where(jobs.c.id.in_(select(oldest.c.id)), unsent).limit(limit)
    chosen = list(tx.execute(due).scalars())
    if chosen:
        tx.execute(update(jobs).where(jobs.c.id.in_(chosen)).values(queued_at=clock.now()))
    return chosen


def lease_validation(
    tx: Transaction, job_id: str, worker: str, seconds: float
) -> Validation | None:
    """The job that a message names, or another of its model; None where none waits."""
    model = select(jobs.c.model).where(jobs.c.id == job_id).scalar_subquery()
    orphaned = or_(jobs.c.leased_by == worker, jobs.c.leased_until < clock.now())
    free = (
        select(jobs.c.id)
        .where(
            jobs.c.model == model,
            jobs.c.status == JobStatus.VALIDATING,
            or_(and_(_free(), _due()), orphaned),
        )
        .order_by(jobs.c.created_at, jobs.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    died = cast(jobs.c.leased_by.is_not(None), Integer)
    row = tx.execute(
        update(jobs)
        .where(jobs.c.id == free.scalar_subquery(), jobs.c.status == JobStatus.VALIDATING)
        .values(
            attempt=jobs.c.attempt + 1,
            leased_by=worker,
            leased_until=clock.after(seconds),
            deaths=jobs.c.deaths + died,
        )
        .returning(jobs)
    ).one_or_none()
    if row is None:
        return None
    return Validation(
        row.id, row.attempt, row.deaths, row.tries, row.model, row.requested, row.source
    )


def renew_validation(tx: Transaction, validation: Validation, seconds: float) -> bool:
    return _change(tx, _mine(validation), leased_until=clock.after(seconds))


def hand_back_validation(tx: Transaction, validation: Validation) -> bool:
    return _change(tx, _mine(validation), **_NO_LEASE)


def try_validation_later(tx: Transaction, validation: Validation, seconds: float) -> bool:
    return _change(
        tx,
        _mine(validation),
        tries=jobs.c.tries + 1,
        next_attempt_at=clock.after(seconds),
        **_NO_LEASE,
    )


def start(tx: Transaction, validation: Validation, key: ModelKey, effective: Effective) -> bool:
    """Validation is over: keep what was settled. False where the lease has been lost."""
    return _change(
        tx,
        _mine(validation),
        status=JOB_STARTS.target,
        model_revision=key.revision,
        engine=key.engine,
        dtype=key.dtype,
        parameters=effective.model_dump(mode="json"),
        started_at=clock.now(),
        deaths=0,
        tries=0,
        next_attempt_at=None,
        **_NO_LEASE,
    )


def refuse(tx: Transaction, validation: Validation, code: str, message: str) -> bool:
    """The model, the parameters or the source can not be used: the job has failed."""
    refused = _change(
        tx,
        _mine(validation),
        status=JOB_FAILS.target,
        error={"code": code, "message": message},
        finished_at=clock.now(),
        **_NO_LEASE,
    )
    if refused:
        shard_store.cancel_unstarted(tx, validation.job_id)
    return refused


def return_expired_validations(tx: Transaction) -> int:
    expired = (
        update(jobs)
        .where(jobs.c.status == JobStatus.VALIDATING, jobs.c.leased_until < clock.now())
        .values(deaths=jobs.c.deaths + 1, **_NO_LEASE)
    )
    return tx.execute(expired).rowcount


# --- ending


def fail(tx: Transaction, job_id: str, code: str, message: str) -> bool:
    """Write down why a running job fails. Its shards stop, and then it is closed as failed."""
    return _change(
        tx,
        and_(
            jobs.c.id == job_id,
            jobs.c.status == JobStatus.IN_PROGRESS,
            jobs.c.error.is_(None),
        ),
        error={"code": code, "message": message},
    )


def close_finished(tx: Transaction) -> list[str]:
    """Close each job whose shards are all over, with their sums; returns the ids."""
    unfinished = exists().where(shards.c.job_id == jobs.c.id, SHARD_UNFINISHED)
    closing = (
        update(jobs)
        .where(jobs.c.status.in_(JOB_FINALIZES.sources), ~unfinished)
        .values(status=JOB_FINALIZES.target)
        .returning(jobs.c.id)
    )
    closed = list(tx.execute(closing).scalars())
    if closed:
        _copy_sums(tx, closed)
    return closed


def _copy_sums(tx: Transaction, job_ids: Sequence[str]) -> None:
    sums = (
        select(
            jobs.c.id.label("job_id"),
            *(func.coalesce(func.sum(shards.c[name]), 0).label(name) for name in _SUMS),
        )
        .select_from(jobs.outerjoin(shards))
        .where(jobs.c.id.in_(job_ids))
        .group_by(jobs.c.id)
        .subquery()
    )
    nothing_done = and_(sums.c.completed == 0, jobs.c.total > 0)
    has_failed = or_(jobs.c.error.is_not(None), nothing_done)
    tx.execute(
        update(jobs)
        .where(
            jobs.c.id == sums.c.job_id,
            jobs.c.status.in_(JOB_COMPLETES.sources & JOB_FAILS.sources),
        )
        .values(
            status=case((has_failed, JOB_FAILS.target.value), else_=JOB_COMPLETES.target.value),
            error=case(
                (jobs.c.error.is_not(None), jobs.c.error),
                (nothing_done, _NOTHING_DONE),
                else_=None,
            ),
            finished_at=clock.now(),
            **{name: sums.c[name] for name in _SUMS},
        )
    )


_NOTHING_DONE = literal(
    {"code": "no_document_done", "message": "every document failed; their rows say why"},
    jobs.c.error.type,
)


# --- conditions and rows


def _free() -> ColumnElement[bool]:
    return jobs.c.leased_by.is_(None)


def _due() -> ColumnElement[bool]:
    return or_(jobs.c.next_attempt_at.is_(None), jobs.c.next_attempt_at <= clock.now())


def _mine(validation: Validation) -> ColumnElement[bool]:
    return and_(
        jobs.c.id == validation.job_id,
        jobs.c.attempt == validation.attempt,
        jobs.c.status == JobStatus.VALIDATING,
        jobs.c.leased_by.is_not(None),
    )


def _change(tx: Transaction, which: ColumnElement[bool], **values: Any) -> bool:
    return bool(tx.execute(update(jobs).where(which).values(**values)).rowcount)


def _records() -> Select[Any]:
    """Jobs that are over are read from their own columns, the others summed over shards."""
    sums = (
        select(*(func.coalesce(func.sum(shards.c[name]), 0).label(name) for name in _SUMS))
        .where(shards.c.job_id == jobs.c.id, jobs.c.status.not_in([*JOB_OVER]))
        .lateral("sums")
    )
    over = jobs.c.status.in_([*JOB_OVER])
    counts = [
        cast(case((over, jobs.c[name]), else_=sums.c[name]), jobs.c[name].type).label(name)
        for name in _SUMS
    ]
    own = [column for column in jobs.c if column.name not in _SUMS]
    until = func.coalesce(jobs.c.finished_at, clock.now())
    seconds = func.extract("epoch", until - jobs.c.started_at).label("seconds")
    return select(*own, *counts, seconds).select_from(jobs.join(sums, true()))


def _record(row: Any) -> JobRecord:
    fields = {name: row[name] for name in JobRecord.__dataclass_fields__}
    fields["status"] = JobStatus(row["status"])
    fields["seconds"] = None if row["seconds"] is None else float(row["seconds"])
    return JobRecord(**fields)

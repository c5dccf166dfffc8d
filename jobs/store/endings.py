"""How jobs end: with their last shard, by an error, or by the clock.

An error is written down first; then the shards that nobody works on are
cancelled, and those that are running learn of it at their next store. A job
whose shards are all over is closed with their sums, once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, func, literal, or_, select, update

from jobs.database import Transaction
from jobs.states import (
    JOB_COMPLETES,
    JOB_EXPIRES,
    JOB_FAILS,
    JOB_FINALIZES,
    JOB_IS_CANCELLED,
    JOB_UNFINISHED,
    JobStatus,
)
from jobs.store import clock
from jobs.store.jobs import SUMS
from jobs.tables import SHARD_UNFINISHED, jobs, shards, summaries

TOO_MANY_FAILURES = "too_many_failures"
DEADLINE_PASSED = "deadline_passed"

# A share of failures is judged once so many documents are over, or all of a smaller job.
_JUDGED_AFTER = 100


@dataclass(frozen=True, slots=True)
class Closed:
    """A job that is over, how it ended, and the code of its error if it has one."""

    job_id: str
    status: JobStatus
    code: str | None


def fail(tx: Transaction, job_id: str, code: str, message: str) -> bool:
    """Write down why a running job fails. Its shards stop, and then it is closed as failed."""
    failing = (
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.status == JobStatus.IN_PROGRESS, jobs.c.error.is_(None))
        .values(error={"code": code, "message": message})
    )
    return bool(tx.execute(failing).rowcount)


def end_late(tx: Transaction) -> list[str]:
    """Write down which jobs have passed their deadline; returns their ids."""
    error = {
        "code": DEADLINE_PASSED,
        "message": "its deadline passed; what is done is kept, and `gistmill retry` does the rest",
    }
    late = (
        update(jobs)
        .where(_goes_on(), jobs.c.deadline <= clock.now())
        .values(error=error)
        .returning(jobs.c.id)
    )
    return list(tx.execute(late).scalars())


def end_failing(tx: Transaction) -> list[str]:
    """Write down which jobs have failed documents above their `max_error_rate`; returns ids."""
    failed, over = func.sum(shards.c.failed), func.sum(shards.c.completed + shards.c.failed)
    failing = (
        select(jobs.c.id, failed.label("failed"), over.label("over"))
        .join(shards)
        .where(_goes_on(), jobs.c.max_error_rate.is_not(None))
        .group_by(jobs.c.id)
        .having(
            over >= func.least(_JUDGED_AFTER, jobs.c.total),
            failed > jobs.c.max_error_rate * over,
        )
        .subquery()
    )
    # Locked first and then looked at again, as those that are closed.
    found = list(tx.execute(select(failing.c.id)).scalars())
    if not found:
        return []
    tx.execute(select(jobs.c.id).where(jobs.c.id.in_(found)).with_for_update(key_share=True))
    text = func.format(
        "%s of %s documents failed, more than max_error_rate allows; `gistmill failures` says why",
        failing.c.failed,
        failing.c.over,
    )
    ending = (
        update(jobs)
        .where(jobs.c.id == failing.c.id, jobs.c.id.in_(found), _goes_on())
        .values(error=_error(TOO_MANY_FAILURES, text))
        .returning(jobs.c.id)
    )
    return list(tx.execute(ending).scalars())


def close_finished(tx: Transaction, job_id: str | None = None) -> list[Closed]:
    """Close each job whose shards are all over, with their sums.

    With `job_id` no other job is looked at.
    """
    which = jobs.c.id == job_id if job_id else literal(True)
    unfinished = exists().where(shards.c.job_id == jobs.c.id, SHARD_UNFINISHED)
    closable = JOB_FINALIZES.sources | JOB_IS_CANCELLED.sources
    # Locked first and then looked at again: of one that was retried before the lock was had,
    # the first look may have seen the shards as they were.
    locked = (
        select(jobs.c.id)
        .where(which, jobs.c.status.in_(closable), ~unfinished)
        .with_for_update(key_share=True)
    )
    found = list(tx.execute(locked).scalars())
    if not found:
        return []
    finished = and_(jobs.c.id.in_(found), ~unfinished)
    finalizing = (
        update(jobs)
        .where(finished, jobs.c.status.in_(JOB_FINALIZES.sources))
        .values(status=JOB_FINALIZES.target)
        .returning(jobs.c.id)
    )
    cancelled = select(jobs.c.id).where(finished, jobs.c.status.in_(JOB_IS_CANCELLED.sources))
    closing = [*tx.execute(finalizing).scalars(), *tx.execute(cancelled).scalars()]
    return _close(tx, closing) if closing else []


def _close(tx: Transaction, job_ids: Sequence[str]) -> list[Closed]:
    """The sums of the shards become the job's own, and its last state follows from them."""
    sums = (
        select(
            jobs.c.id.label("job_id"),
            *(func.coalesce(func.sum(shards.c[name]), 0).label(name) for name in SUMS),
        )
        .select_from(jobs.outerjoin(shards))
        .where(jobs.c.id.in_(job_ids))
        .group_by(jobs.c.id)
        .subquery()
    )
    nothing_done = and_(sums.c.completed == 0, jobs.c.total > 0)
    ends = [
        (jobs.c.status == JobStatus.CANCELLING, JOB_IS_CANCELLED.target.value),
        (jobs.c.error["code"].astext == DEADLINE_PASSED, JOB_EXPIRES.target.value),
        (or_(jobs.c.error.is_not(None), nothing_done), JOB_FAILS.target.value),
    ]
    closed = tx.execute(
        update(jobs)
        .where(
            jobs.c.id == sums.c.job_id,
            jobs.c.status.in_(JOB_COMPLETES.sources | JOB_IS_CANCELLED.sources),
        )
        .values(
            status=case(*ends, else_=JOB_COMPLETES.target.value),
            error=case(
                (jobs.c.error.is_not(None), jobs.c.error),
                (jobs.c.status == JobStatus.CANCELLING, None),
                (nothing_done, _nothing_done()),
                else_=None,
            ),
            note=None,
            finished_at=clock.now(),
            **{name: sums.c[name] for name in SUMS},
        )
        .returning(jobs.c.id, jobs.c.status, jobs.c.error["code"].astext)
    )
    return [Closed(job_id, JobStatus(status), code) for job_id, status, code in closed]


def _nothing_done() -> ColumnElement[Any]:
    """The error of a job whose documents all failed, with that of the first as an example."""
    first = (
        select(summaries.c.error_message)
        .where(summaries.c.job_id == jobs.c.id)
        .order_by(summaries.c.index)
        .limit(1)
        .scalar_subquery()
    )
    return _error("no_document_done", func.concat_ws("; ", "every document failed", first))


def _error(code: str, message: ColumnElement[str]) -> ColumnElement[Any]:
    return func.jsonb_build_object("code", code, "message", message)


def _goes_on() -> ColumnElement[bool]:
    return and_(jobs.c.status.in_(JOB_UNFINISHED), jobs.c.error.is_(None))

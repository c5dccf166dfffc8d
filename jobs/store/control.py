"""What users ask of a job that is there: cancel, pause, resume, retry, priority, purge.

Each is one guarded UPDATE of the job and what follows from it for its shards. Workers
learn of it at their next store.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, case, delete, func, null, select, update

from jobs.database import Transaction
from jobs.documents import storable
from jobs.states import (
    JOB_CANCELS,
    JOB_OVER,
    JOB_PAUSES,
    JOB_RESUMES,
    JOB_RETRIES,
    JOB_VALIDATES_AGAIN,
    JobStatus,
)
from jobs.store import clock, endings, fairness, queueing
from jobs.tables import SUMMARY_FAILED, jobs, shards, summaries

_REOPENED = {
    "error": None,
    "finished_at": None,
    "deaths": 0,
    "tries": 0,
    "queued_at": None,
    "leased_by": None,
    "leased_until": None,
    "next_attempt_at": None,
}


@dataclass(frozen=True, slots=True)
class Retried:
    """What a retry takes up again, in documents."""

    failed: int
    unfinished: int
    """Those of shards that were cut off before they were done."""


def cancel(tx: Transaction, job_id: str) -> bool:
    """False where the job is over, or about to be."""
    if not _change(tx, job_id, jobs.c.status.in_(JOB_CANCELS.sources), status=JOB_CANCELS.target):
        return False
    queueing.cancel_unstarted(tx, job_id)
    endings.close_finished(tx, job_id)
    return True


def pause(tx: Transaction, job_id: str) -> bool:
    """False where the job is not in progress."""
    if not _change(tx, job_id, _goes_on(JobStatus.IN_PROGRESS), status=JOB_PAUSES.target):
        return False
    queueing.unqueue_paused(tx)
    return True


def resume(tx: Transaction, job_id: str) -> bool:
    """Go on with a paused job, or with one that its error rate ended, which is not judged by it
    any more. False for any other."""
    if _change(tx, job_id, _goes_on(JobStatus.PAUSED), status=JOB_RESUMES.target):
        fairness.join(tx, job_id)
        return True
    stopped = and_(
        jobs.c.status == JobStatus.FAILED,
        jobs.c.error["code"].astext == endings.TOO_MANY_FAILURES,
    )
    status = JOB_RETRIES.target
    again = {"status": status, "max_error_rate": None, "deadline": _deadline_to_come()}
    if not _change(tx, job_id, stopped, **again, **_REOPENED):
        return False
    queueing.take_up_cancelled(tx, job_id)
    fairness.join(tx, job_id)
    return True


def retry(tx: Transaction, job_id: str, code: str | None) -> Retried | None:
    """Take up again the failed documents, those of one error `code` alone if given, and all
    that were cut off. A deadline that has passed no longer holds.

    None where the job is not over, or was a dry run. Where there is nothing to do again the
    job stays as it is.
    """
    over = and_(jobs.c.id == job_id, jobs.c.status.in_(JOB_RETRIES.sources), ~jobs.c.dry_run)
    locked = select(jobs.c.id).where(over).with_for_update(key_share=True)
    if tx.execute(locked).one_or_none() is None:
        return None
    # In this order: what is cut off is counted while its shard still says so.
    unfinished = queueing.take_up_cancelled(tx, job_id)
    retried = Retried(_forget_failed(tx, job_id, code), unfinished)
    if retried.failed or retried.unfinished:
        _change(
            tx,
            job_id,
            jobs.c.status.in_(JOB_RETRIES.sources),
            status=case(
                (jobs.c.parameters.is_(None), JOB_VALIDATES_AGAIN.target.value),
                else_=JOB_RETRIES.target.value,
            ),
            deadline=_deadline_to_come(),
            **_REOPENED,
        )
        fairness.join(tx, job_id)
    return retried


def _deadline_to_come() -> ColumnElement[Any]:
    """A deadline that has passed no longer holds."""
    return case((jobs.c.deadline <= clock.now(), null()), else_=jobs.c.deadline)


def _forget_failed(tx: Transaction, job_id: str, code: str | None) -> int:
    """Delete failed rows and lower the counts of their shards, which wait again."""
    failed = and_(summaries.c.job_id == job_id, SUMMARY_FAILED)
    if code is not None:
        failed = and_(failed, summaries.c.error_code == storable(code))
    counted = (
        select(
            shards.c.id,
            func.count().label("failed"),
            func.sum(summaries.c.input_tokens).label("input_tokens"),
            func.sum(summaries.c.output_tokens).label("output_tokens"),
        )
        .join(
            summaries,
            and_(
                failed,
                summaries.c.index >= shards.c.start,
                summaries.c.index < shards.c.stop,
            ),
        )
        .where(shards.c.job_id == job_id, shards.c.failed > 0)
        .group_by(shards.c.id)
        .subquery()
    )
    queueing.take_up_failed(tx, counted)
    return tx.execute(delete(summaries).where(failed)).rowcount


def set_priority(tx: Transaction, job_id: str, priority: int) -> bool:
    """False where the job is over."""
    return _change(tx, job_id, jobs.c.status.not_in(JOB_OVER), priority=priority)


def over_before(tx: Transaction, seconds: float) -> list[str]:
    """Jobs that have been over for so long, the longest first."""
    old = and_(jobs.c.status.in_(JOB_OVER), jobs.c.finished_at < clock.before(seconds))
    return list(tx.execute(select(jobs.c.id).where(old).order_by(jobs.c.finished_at)).scalars())


def purge(tx: Transaction, job_ids: Iterable[str]) -> int:
    """Delete jobs that are over, with all that belongs to them; returns how many."""
    gone = and_(jobs.c.id.in_(list(job_ids)), jobs.c.status.in_(JOB_OVER))
    return tx.execute(delete(jobs).where(gone)).rowcount


def _goes_on(status: JobStatus) -> ColumnElement[bool]:
    return and_(jobs.c.status == status, jobs.c.error.is_(None))


def _change(tx: Transaction, job_id: str, which: ColumnElement[bool], **values: Any) -> bool:
    return bool(
        tx.execute(update(jobs).where(jobs.c.id == job_id, which).values(**values)).rowcount
    )

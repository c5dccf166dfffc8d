"""The states of jobs and shards, and every way from one to another.

Each transition is made in one place, by an UPDATE in `jobs.store` that names
the states it may come from; a row that did not change is an answer for the
caller, not an error.
"""

from dataclasses import dataclass
from enum import StrEnum


class JobStatus(StrEnum):
    """The names of OpenAI's batches, plus `paused`."""

    VALIDATING = "validating"
    IN_PROGRESS = "in_progress"
    PAUSED = "paused"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class ShardState(StrEnum):
    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


JOB_UNFINISHED = frozenset({JobStatus.VALIDATING, JobStatus.IN_PROGRESS, JobStatus.PAUSED})
JOB_OVER = frozenset(
    {JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.EXPIRED}
)
SHARD_OVER = frozenset({ShardState.DONE, ShardState.CANCELLED})
SHARD_LEASABLE = frozenset({ShardState.PENDING, ShardState.QUEUED})


@dataclass(frozen=True)
class JobTransition:
    """Where a job may come from, and where it goes."""

    sources: frozenset[JobStatus]
    target: JobStatus


@dataclass(frozen=True)
class ShardTransition:
    """Where a shard may come from, and where it goes."""

    sources: frozenset[ShardState]
    target: ShardState


def _job(target: JobStatus, *sources: JobStatus) -> JobTransition:
    return JobTransition(frozenset(sources), target)


def _shard(target: ShardState, *sources: ShardState) -> ShardTransition:
    return ShardTransition(frozenset(sources), target)


# Model, revision and parameters are resolved.
JOB_STARTS = _job(JobStatus.IN_PROGRESS, JobStatus.VALIDATING)
# The model, the parameters or the source can not be used.
JOB_IS_REFUSED = _job(JobStatus.FAILED, JobStatus.VALIDATING)
# A dry run ends where another job starts.
JOB_IS_REPORTED = _job(JobStatus.COMPLETED, JobStatus.VALIDATING)
JOB_PAUSES = _job(JobStatus.PAUSED, JobStatus.IN_PROGRESS)
JOB_RESUMES = _job(JobStatus.IN_PROGRESS, JobStatus.PAUSED)
JOB_CANCELS = _job(JobStatus.CANCELLING, *JOB_UNFINISHED)
# Every shard is over; the sums are being copied to the job.
JOB_IS_CANCELLED = _job(JobStatus.CANCELLED, JobStatus.CANCELLING)
JOB_FINALIZES = _job(JobStatus.FINALIZING, *JOB_UNFINISHED)
JOB_COMPLETES = _job(JobStatus.COMPLETED, JobStatus.FINALIZING)
# No document could be done, or an error ended the job.
JOB_FAILS = _job(JobStatus.FAILED, JobStatus.FINALIZING)
JOB_EXPIRES = _job(JobStatus.EXPIRED, JobStatus.FINALIZING)
# What failed or was cut off is taken up again; from the start where nothing was resolved yet.
JOB_RETRIES = _job(JobStatus.IN_PROGRESS, *JOB_OVER)
JOB_VALIDATES_AGAIN = _job(JobStatus.VALIDATING, *JOB_OVER)

SHARD_QUEUES = _shard(ShardState.QUEUED, ShardState.PENDING, ShardState.QUEUED)
SHARD_RUNS = _shard(ShardState.RUNNING, ShardState.PENDING, ShardState.QUEUED, ShardState.RUNNING)
SHARD_IS_DONE = _shard(ShardState.DONE, ShardState.RUNNING)
# Handed back, or its lease ran out.
SHARD_RETURNS = _shard(ShardState.PENDING, ShardState.RUNNING)
# Its job was paused before anybody took it.
SHARD_UNQUEUES = _shard(ShardState.PENDING, ShardState.QUEUED)
SHARD_RETRIES = _shard(ShardState.PENDING, ShardState.DONE, ShardState.CANCELLED)
SHARD_IS_CANCELLED = _shard(
    ShardState.CANCELLED, ShardState.PENDING, ShardState.QUEUED, ShardState.RUNNING
)

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
# Every shard is over; the sums are being copied to the job.
JOB_FINALIZES = _job(JobStatus.FINALIZING, JobStatus.IN_PROGRESS)
JOB_COMPLETES = _job(JobStatus.COMPLETED, JobStatus.FINALIZING)
# No document could be done, or the source or the model could not be used.
JOB_FAILS = _job(
    JobStatus.FAILED, JobStatus.FINALIZING, JobStatus.VALIDATING, JobStatus.IN_PROGRESS
)

SHARD_QUEUES = _shard(ShardState.QUEUED, ShardState.PENDING, ShardState.QUEUED)
SHARD_RUNS = _shard(ShardState.RUNNING, ShardState.PENDING, ShardState.QUEUED, ShardState.RUNNING)
SHARD_IS_DONE = _shard(ShardState.DONE, ShardState.RUNNING)
# Handed back, or its lease ran out.
SHARD_RETURNS = _shard(ShardState.PENDING, ShardState.RUNNING)
SHARD_IS_CANCELLED = _shard(
    ShardState.CANCELLED, ShardState.PENDING, ShardState.QUEUED, ShardState.RUNNING
)

"""Work that waits, and whether anybody gets on with it."""

from dataclasses import dataclass

from sqlalchemy import Double, cast, func, or_, select

from jobs.database import Transaction
from jobs.states import SHARD_LEASABLE, JobStatus, ShardState
from jobs.store import clock
from jobs.store.conditions import due, workable
from jobs.tables import SHARD_UNFINISHED, jobs, shards


@dataclass(frozen=True, slots=True)
class Backlog:
    """Of all jobs together."""

    validating: int
    """Jobs whose model nobody has looked at yet."""
    waiting: int
    """Shards of jobs in progress that somebody could take."""
    running: int
    """Shards and validations that a worker holds a lease of."""
    oldest: float
    """Seconds since the job that has waited longest could have begun; 0 where none waits."""


def look(tx: Transaction) -> Backlog:
    of_shards = tx.execute(
        select(
            func.count().filter(shards.c.state.in_(SHARD_LEASABLE), workable(), due()),
            func.count().filter(shards.c.state == ShardState.RUNNING),
        )
        .select_from(shards)
        .join(jobs)
        .where(SHARD_UNFINISHED)
    ).one()
    is_validating = jobs.c.status == JobStatus.VALIDATING
    of_jobs = tx.execute(
        select(
            func.count().filter(is_validating, jobs.c.leased_by.is_(None)),
            func.count().filter(is_validating, jobs.c.leased_by.is_not(None)),
        )
    ).one()
    since = func.min(func.coalesce(jobs.c.started_at, jobs.c.created_at))
    oldest = tx.execute(
        select(cast(func.extract("epoch", clock.now() - since), Double)).where(
            or_(is_validating, workable())
        )
    ).scalar_one()
    return Backlog(of_jobs[0], of_shards[0], of_jobs[1] + of_shards[1], oldest or 0.0)

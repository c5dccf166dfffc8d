"""The whole mill in a few numbers, for whoever watches it: how much there is, and whether it moves.

Asked again and again, so each query reads what is not over, by an index, and never how much was
done before; only the count of jobs by status grows with the jobs that are kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Double, and_, cast, func, select

from jobs.database import Transaction
from jobs.states import JOB_OVER, JobStatus, ShardState
from jobs.store import backlog, clock, workers
from jobs.store.backlog import Backlog
from jobs.store.conditions import workable
from jobs.store.workers import Seen
from jobs.tables import SHARD_BEGUN, SHARD_UNFINISHED, jobs, shards, summaries


@dataclass(frozen=True, slots=True)
class Done:
    """What of the jobs of one model that are not over is done."""

    model: str
    completed: int
    failed: int
    reused: int
    """Of the completed ones, those that the model had nothing to do for."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Shards in one state that is not the last, and their documents that are not over."""

    state: str
    shards: int
    documents: int


@dataclass(frozen=True, slots=True)
class Overview:
    """Of all jobs together."""

    jobs: dict[JobStatus, int]
    """0 where there is none."""
    shards: Sequence[Unfinished]
    done: Sequence[Done]
    backlog: Backlog
    since_progress: float
    """Seconds since a summary was stored of the jobs that workers may go on with, or, where none
    was, since the first of them could begin; 0 where there is no such job."""
    alive: Sequence[Seen]


def look(tx: Transaction, alive: float) -> Overview:
    """`alive`: seconds within which a worker or dispatcher was seen that lives."""
    return Overview(
        jobs=_jobs(tx),
        shards=_shards(tx),
        done=_done(tx),
        backlog=backlog.look(tx),
        since_progress=_since_progress(tx),
        alive=workers.seen(tx, alive),
    )


def _jobs(tx: Transaction) -> dict[JobStatus, int]:
    counted = tx.execute(select(jobs.c.status, func.count()).group_by(jobs.c.status))
    found = {JobStatus(status): count for status, count in counted}
    return {status: found.get(status, 0) for status in JobStatus}


def _shards(tx: Transaction) -> list[Unfinished]:
    left = shards.c.stop - shards.c.start - shards.c.completed - shards.c.failed
    counted = tx.execute(
        select(shards.c.state, func.count(), func.sum(left))
        .where(SHARD_UNFINISHED)
        .group_by(shards.c.state)
    )
    found = {state: (count, int(documents)) for state, count, documents in counted}
    states = (ShardState.PENDING, ShardState.QUEUED, ShardState.RUNNING)
    return [Unfinished(state, *found.get(state, (0, 0))) for state in states]


def _done(tx: Transaction) -> list[Done]:
    sums = (func.sum(shards.c[name]) for name in ("completed", "failed", "reused"))
    counted = tx.execute(
        select(jobs.c.model, *sums)
        .select_from(jobs.join(shards, and_(shards.c.job_id == jobs.c.id, SHARD_BEGUN)))
        .where(jobs.c.status.not_in([*JOB_OVER]))
        .group_by(jobs.c.model)
        .order_by(jobs.c.model)
    )
    return [Done(model, *(int(each) for each in numbers)) for model, *numbers in counted]


def _since_progress(tx: Transaction) -> float:
    of_job = and_(shards.c.job_id == jobs.c.id, SHARD_BEGUN)
    ended = select(func.max(shards.c.finished_at)).select_from(shards.join(jobs, of_job))
    # Of what is in a worker's hands alone: the others are as their shard's end says.
    stored = select(func.max(summaries.c.created_at)).select_from(
        shards.join(jobs, and_(shards.c.job_id == jobs.c.id)).join(
            summaries,
            and_(
                summaries.c.job_id == shards.c.job_id,
                summaries.c.index >= shards.c.start,
                summaries.c.index < shards.c.stop,
            ),
        )
    )
    began = select(func.min(func.coalesce(jobs.c.started_at, jobs.c.created_at)))
    last = func.coalesce(
        func.greatest(
            ended.where(workable()).scalar_subquery(),
            stored.where(workable(), shards.c.state == ShardState.RUNNING).scalar_subquery(),
        ),
        began.where(workable()).scalar_subquery(),
    )
    since = cast(func.extract("epoch", clock.now() - last), Double)
    return max(0.0, tx.execute(select(since)).scalar_one() or 0.0)

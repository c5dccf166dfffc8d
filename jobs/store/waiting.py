"""The next shards in dispatch order, found without a look at those behind them.

Job by job, and of each job its shards by number, as their index has them. To sort all
that waits, at each lease and each turn of a dispatcher, takes longer the more waits.
"""

from typing import Any

from sqlalchemy import ColumnElement, Select, select, true

from jobs.store import fairness
from jobs.store.conditions import job_order, workable
from jobs.tables import SHARD_UNFINISHED, fair_shares, jobs, shards


def in_order(
    of_jobs: ColumnElement[bool], of_shards: ColumnElement[bool], limit: int
) -> Select[Any]:
    """The `id`, `state`, `start` and `stop` of the first `limit` shards, each locked.

    What others have locked is passed over. No more are locked than are returned: the
    shards of a job are looked at once all jobs before it have not been enough.
    """
    ordered = (
        select(jobs.c.id, jobs.c.priority, fair_shares.c.tokens, jobs.c.created_at)
        .outerjoin(fair_shares, fairness.of_job())
        .where(of_jobs, workable())
        .order_by(*job_order())
        .subquery("ordered")
    )
    first = (
        select(shards.c.id, shards.c.state, shards.c.start, shards.c.stop)
        .where(shards.c.job_id == ordered.c.id, SHARD_UNFINISHED, of_shards)
        .order_by(shards.c.number)
        .limit(limit)
        .with_for_update(of=shards, skip_locked=True)
        .lateral("first")
    )
    return (
        select(first)
        .select_from(ordered.join(first, true()))
        # As they come already, so that nothing is sorted: then all of them would be locked.
        .order_by(*job_order(ordered.c))
        .limit(limit)
    )

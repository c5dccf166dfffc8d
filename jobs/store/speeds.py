"""How fast a model has been here: what shards took that are done.

There is no table of speeds, since the shards have them. A bounded number of them is looked
at, however many there are: of the jobs that ended last, and of those that are in progress.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, cast, select, true

from jobs.database import Transaction
from jobs.forecasts import Done, Speed
from jobs.job import ModelKey
from jobs.parameters import Effective
from jobs.states import JobStatus, ShardState
from jobs.store.conditions import has_model
from jobs.tables import JOB_WAS_DONE, JSONB, SHARD_BEGUN, jobs, shards

# Jobs in progress and jobs that are over that are looked at, those of them whose shards are, and
# shards of each.
_AT_WORK = 8
_OVER = 500
_JOBS = 64
_SHARDS = 32


def of(tx: Transaction, key: ModelKey, effective: Effective) -> Speed | None:
    """Of jobs with the same parameters, but for the seed, if there were any, else of all; None
    where this model has done nothing here."""
    alike, others = _jobs(tx, key, effective)
    for job_ids, same in ((alike, True), (others, False)):
        if done := _done(tx, job_ids[:_JOBS]):
            return Speed(done, same_parameters=same)
    return None


def _jobs(tx: Transaction, key: ModelKey, effective: Effective) -> tuple[list[str], list[str]]:
    """The ids of jobs with these parameters, and with others: the latest first."""
    alike = _without_seed(effective).label("alike")
    at_work = (
        select(jobs.c.id, alike)
        .where(has_model(key), jobs.c.status == JobStatus.IN_PROGRESS)
        .order_by(jobs.c.created_at)
        .limit(_AT_WORK)
    )
    over = (
        select(jobs.c.id, alike)
        .where(has_model(key), JOB_WAS_DONE)
        .order_by(jobs.c.finished_at.desc())
        .limit(_OVER)
    )
    found = [*tx.execute(at_work), *tx.execute(over)]
    return [row.id for row in found if row.alike], [row.id for row in found if not row.alike]


def _without_seed(effective: Effective) -> ColumnElement[bool]:
    wanted = effective.model_dump(mode="json", exclude={"seed"})
    return jobs.c.parameters.op("-", return_type=JSONB)("seed") == cast(wanted, JSONB)


def _done(tx: Transaction, job_ids: Sequence[str]) -> list[Done]:
    """What the model made, and how long it took; not what needed no model."""
    documents = (shards.c.completed - shards.c.reused).label("documents")
    some = (
        select(shards.c.job_id, documents, shards.c.input_tokens, shards.c.busy_seconds)
        .where(shards.c.job_id == jobs.c.id, SHARD_BEGUN, shards.c.state == ShardState.DONE)
        .where(documents > 0, shards.c.busy_seconds > 0)
        .limit(_SHARDS)
        .lateral("some")
    )
    found = select(some).select_from(jobs.join(some, true())).where(jobs.c.id.in_(job_ids))
    return [Done(*row) for row in tx.execute(found)] if job_ids else []

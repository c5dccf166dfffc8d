"""Batches as OpenAI's clients make them: rows beside their jobs, and what their lines are of."""

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    RowMapping,
    delete,
    func,
    insert,
    literal,
    select,
    true,
    tuple_,
    update,
)

from jobs.database import Transaction
from jobs.documents import storable
from jobs.errors import NotFound
from jobs.job import Sample
from jobs.states import JOB_OVER
from jobs.store import clock
from jobs.tables import SUMMARY_FAILED, batches, events, jobs, shards, summaries


@dataclass(frozen=True, slots=True)
class NewBatch:
    """A batch before it is stored. `errors` where its file was refused, and it has no job."""

    id: str
    owner: str | None
    input_file_id: str
    endpoint: str
    model: str | None
    completion_window: str
    metadata: Mapping[str, str] | None
    errors: Sequence[Mapping[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """A batch as it is stored."""

    id: str
    owner: str | None
    job_id: str | None
    input_file_id: str
    endpoint: str
    model: str | None
    completion_window: str
    metadata: dict[str, str] | None
    errors: list[dict[str, Any]] | None
    deleted: list[str]
    sizes: dict[str, Any] | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one document, what a line says of it."""

    index: int
    id: str | None
    summary: str | None
    input_tokens: int
    output_tokens: int
    finish_reason: str | None
    error_code: str | None
    error_message: str | None
    created_at: datetime


def new_id() -> str:
    return "batch_" + secrets.token_hex(12)


def add(tx: Transaction, batch: NewBatch, job_id: str | None = None) -> None:
    tx.execute(insert(batches).values(**asdict(batch), job_id=job_id))


def get(tx: Transaction, batch_id: str, only: str | None) -> BatchRecord:
    """Raises NotFound, also for one that another owner than `only` has."""
    fits = _records().where(batches.c.id == storable(batch_id), _of(only))
    row = tx.execute(fits).mappings().one_or_none()
    if row is None:
        raise NotFound(f"no batch {storable(batch_id)!r}")
    return _record(row)


def of_job(tx: Transaction, job_id: str) -> BatchRecord | None:
    row = tx.execute(_records().where(batches.c.job_id == job_id)).mappings().one_or_none()
    return None if row is None else _record(row)


def latest(
    tx: Transaction, limit: int | None, only: str | None, after: str | None = None
) -> list[BatchRecord]:
    """Newest first, those that come after the batch `after` in this list. Raises NotFound where
    there is no such batch."""
    fits = [_of(only)]
    if after is not None:
        last = get(tx, after, only)
        place = tuple_(literal(last.created_at), literal(last.id))
        fits.append(tuple_(batches.c.created_at, batches.c.id) < place)
    newest = _records().where(*fits).order_by(batches.c.created_at.desc(), batches.c.id.desc())
    return [_record(row) for row in tx.execute(newest.limit(limit)).mappings()]


def over(tx: Transaction, only: str | None) -> list[BatchRecord]:
    """All whose jobs are over: those that may have files."""
    done = _records().join(jobs).where(jobs.c.status.in_([*JOB_OVER]), _of(only))
    return [_record(row) for row in tx.execute(done.order_by(batches.c.id)).mappings()]


def reading(tx: Transaction, file_id: str) -> list[tuple[str, bool]]:
    """The batches that may still read this file, the oldest first: their ids, and whether they
    are over. One that was cut off is read to say which requests it did not do."""
    cut_off = jobs.c.completed + jobs.c.failed < jobs.c.total
    is_over = jobs.c.status.in_([*JOB_OVER])
    found = (
        select(batches.c.id, is_over)
        .join(jobs)
        .where(batches.c.input_file_id == file_id, ~is_over | cut_off)
        .order_by(batches.c.created_at)
    )
    return [(batch_id, bool(done)) for batch_id, done in tx.execute(found)]


def times(tx: Transaction, job_ids: Collection[str]) -> dict[str, dict[str, datetime]]:
    """When each job took each of its states, for the first time since it was taken up last."""
    found: dict[str, dict[str, datetime]] = {job_id: {} for job_id in job_ids}
    rows = select(events.c.job_id, events.c.status, events.c.created_at)
    for job_id, status, at in tx.execute(
        rows.where(events.c.job_id.in_(job_ids)).order_by(events.c.id)
    ):
        if found[job_id].keys() & JOB_OVER:
            found[job_id].clear()
        found[job_id].setdefault(status, at)
    return found


def delete_file(tx: Transaction, batch_id: str, which: str) -> None:
    deleted = func.array_append(batches.c.deleted, which)
    tx.execute(update(batches).where(batches.c.id == batch_id).values(deleted=deleted))


def keep_sizes(tx: Transaction, batch_id: str, sizes: Mapping[str, Any]) -> None:
    tx.execute(update(batches).where(batches.c.id == batch_id).values(sizes=dict(sizes)))


def forget_refused(tx: Transaction, seconds: float) -> None:
    """Delete those that were refused so long ago: they have no job to go with."""
    old = batches.c.created_at < clock.before(seconds)
    tx.execute(delete(batches).where(batches.c.job_id.is_(None), old))


# --- what lines are made of


def outcomes(
    tx: Transaction, job_id: str, after: int, limit: int, *, failed: bool
) -> list[Outcome]:
    """In order of index, those above `after`: the failed documents, or the others."""
    column = summaries.c
    columns = [column[name] for name in Outcome.__dataclass_fields__]
    which = SUMMARY_FAILED if failed else column.error_code.is_(None)
    page = (
        select(*columns)
        .where(column.job_id == job_id, column.index > after, which)
        .order_by(column.index)
        .limit(limit)
    )
    return [Outcome(**row) for row in tx.execute(page).mappings()]


def cut_off(tx: Transaction, job_id: str, after: int, limit: int) -> list[Sample]:
    """Shards of a job of which not all is done, in order, those that begin at `after` or later."""
    done = shards.c.completed + shards.c.failed
    page = (
        select(shards.c.job_id, shards.c.start, shards.c.stop, shards.c.position, jobs.c.source)
        .join(jobs)
        .where(
            shards.c.job_id == job_id,
            shards.c.start >= after,
            done < shards.c.stop - shards.c.start,
        )
        .order_by(shards.c.start)
        .limit(limit)
    )
    return [Sample(**row) for row in tx.execute(page).mappings()]


def models(tx: Transaction, only: str | None) -> Iterable[tuple[str, datetime]]:
    """Those that a worker found for the jobs of this owner, and when each was first asked for."""
    found = (
        select(jobs.c.model, func.min(jobs.c.created_at))
        .where(
            jobs.c.model_revision.is_not(None),
            true() if only is None else jobs.c.owner == only,
        )
        .group_by(jobs.c.model)
        .order_by(jobs.c.model)
    )
    return [(model, first) for model, first in tx.execute(found)]


def _of(only: str | None) -> ColumnElement[bool]:
    return true() if only is None else batches.c.owner == only


def _records() -> Any:
    return select(*(batches.c[name] for name in BatchRecord.__dataclass_fields__))


def _record(row: RowMapping) -> BatchRecord:
    return BatchRecord(**row)

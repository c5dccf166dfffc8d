"""Jobs as rows: added, found, and read with their counts."""

import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Double,
    Label,
    Select,
    Tuple,
    and_,
    case,
    cast,
    func,
    insert,
    literal,
    or_,
    select,
    true,
    tuple_,
    update,
)

from jobs.database import Transaction
from jobs.documents import storable
from jobs.errors import NotFound, UsageError
from jobs.job import Batching, NewJob
from jobs.states import JOB_OVER, JobStatus, ShardState
from jobs.store import clock
from jobs.tables import SHARD_BEGUN, deliveries, jobs, shards

_ID_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_COUNTS = ("completed", "failed", "reused", "input_tokens", "output_tokens")
_BATCHING = tuple(Batching.__dataclass_fields__)
SUMS = _COUNTS + _BATCHING


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job as it stands, its counts summed over its shards."""

    id: str
    owner: str | None
    """The token that it was submitted with; None for one from a machine of the mill."""
    name: str | None
    status: JobStatus
    model: str
    model_revision: str | None
    engine: str | None
    dtype: str | None
    fallback: str | None
    """Why not by the fastest engine, where it is not."""
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
    batching: Batching
    error: dict[str, str] | None
    note: dict[str, Any] | None
    """The last error that may pass: its `code`, `message`, and `next_try_at` in unix seconds."""
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    seconds: float | None
    """How long it has run, by the database's clock; None until it starts."""
    shard_size: int
    dry_run: bool
    report: dict[str, Any] | None
    forecast: dict[str, Any] | None
    """How long it would take, as it was known when it was validated: see `worker.forecasting`."""
    deadline: datetime | None
    run_window: str | None
    max_error_rate: float | None
    webhook: str | None
    """A URL that is told when it is over."""
    delivery: dict[str, Any] | None
    """How that went when it was last over: `state`, `tries`, `next_try_at`, `last_error`."""
    pace: "Pace | None"
    """None for a job that is over."""
    fair_group: str = ""
    """Label and value by which it shares the mill, as LABEL=VALUE."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a job's shards went so far: what a forecast is made from."""

    at: datetime
    """Now, by the database's clock."""
    busy_seconds: float
    """Of all workers together, the loading of models left out."""
    workers: int
    """Those that are at it now."""
    shards: int
    """Those that are done."""
    spread: float | None
    """Standard deviation of their seconds a document; None until two are done."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """The job that was submitted under an idempotency key."""

    id: str
    content_sha256: str


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
            priority=job.priority,
            dry_run=job.dry_run,
            idempotency_key=job.idempotency_key,
            deadline=job.deadline,
            run_window=job.run_window,
            opens_at=job.interval and job.interval[0],
            closes_at=job.interval and job.interval[1],
            fair_group=job.fair_group,
            max_error_rate=job.max_error_rate,
            owner=job.owner,
            webhook=job.webhook,
        )
    )


def finish_adding(tx: Transaction, job_id: str, total: int, content_sha256: str) -> None:
    """What is known once the source was read to its end."""
    values = {"total": total, "content_sha256": content_sha256}
    tx.execute(update(jobs).where(jobs.c.id == job_id).values(values))


def under_key(tx: Transaction, key: str, owner: str | None) -> Earlier | None:
    """The job of an owner's idempotency key. Whoever else asks for the same key waits for this
    transaction's end, so that of two submissions at once the second finds the first."""
    tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(key, 0))))
    same_owner = func.coalesce(jobs.c.owner, "") == (owner or "")
    row = tx.execute(
        select(jobs.c.id, jobs.c.content_sha256).where(jobs.c.idempotency_key == key, same_owner)
    ).one_or_none()
    return None if row is None else Earlier(row.id, row.content_sha256)


# --- looking


def check_prefix(prefix: str) -> None:
    """Raises UsageError where it is none, NotFound where no job's id can begin so."""
    if not prefix.strip():
        raise UsageError("name a job by its id, or how that begins; `gistmill ls` lists them")
    if not re.fullmatch(r"\w+", prefix, re.ASCII):
        raise no_job(prefix)


def no_job(prefix: str) -> NotFound:
    return NotFound(f"no job {storable(prefix)!r}; `gistmill ls` lists them")


def find(tx: Transaction, prefix: str, only: str | None = None) -> str:
    """The id that `prefix` begins, among the jobs of the owner `only` if one is named.

    Raises NotFound, and UsageError where several fit.
    """
    check_prefix(prefix)
    wanted = prefix if prefix.startswith("job_") else f"job_{prefix}"
    fits = and_(jobs.c.id.startswith(wanted, autoescape=True), _of(only))
    found = list(tx.execute(select(jobs.c.id).where(fits).order_by(jobs.c.id).limit(3)).scalars())
    if not found:
        raise no_job(prefix)
    if len(found) > 1 and wanted not in found:
        raise UsageError(f"{prefix!r} fits several jobs ({', '.join(found)}); write more of it")
    return wanted if wanted in found else found[0]


def get(tx: Transaction, job_id: str) -> JobRecord:
    """Raises NotFound."""
    row = tx.execute(_records().where(jobs.c.id == job_id)).mappings().one_or_none()
    if row is None:
        raise no_job(job_id)
    return _record(row)


def several(tx: Transaction, job_ids: Collection[str]) -> dict[str, JobRecord]:
    """Those of them that are there, by id."""
    rows = tx.execute(_records().where(jobs.c.id.in_(job_ids))).mappings()
    return {row["id"]: _record(row) for row in rows}


def latest(
    tx: Transaction,
    limit: int,
    labels: Mapping[str, str] | None = None,
    *,
    statuses: Collection[JobStatus] = (),
    only: str | None = None,
    before: str | None = None,
    containing: str = "",
) -> list[JobRecord]:
    """Newest first; only jobs that have all of `labels` and one of `statuses`, if any are named,
    those of the owner `only`, those that come after the job `before` in this list, and those with
    `containing` in their name, model or id, in capitals or not.

    Raises NotFound where there is no job `before`.
    """
    fits = [jobs.c.labels.contains(dict(labels or {})), _of(only)]
    if statuses:
        fits.append(jobs.c.status.in_([*statuses]))
    if before is not None:
        fits.append(tuple_(jobs.c.created_at, jobs.c.id) < _place(tx, before, only))
    if containing:
        named = (jobs.c.name, jobs.c.model, jobs.c.id)
        fits.append(or_(*(each.icontains(storable(containing), autoescape=True) for each in named)))
    newest = (
        _records().where(*fits).order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(limit)
    )
    return [_record(row) for row in tx.execute(newest).mappings()]


def _of(owner: str | None) -> ColumnElement[bool]:
    return true() if owner is None else jobs.c.owner == owner


def _place(tx: Transaction, job_id: str, only: str | None) -> Tuple:
    """Where a job stands among all of them."""
    its = select(jobs.c.created_at, jobs.c.id).where(jobs.c.id == job_id, _of(only))
    row = tx.execute(its).one_or_none()
    if row is None:
        raise NotFound(f"no job {storable(job_id)!r}; `gistmill ls` lists them")
    return tuple_(literal(row.created_at), literal(row.id))


def patterns(tx: Transaction) -> set[str]:
    """The folders and patterns that jobs have their files from."""
    pattern = jobs.c.source["pattern"].as_string()
    return set(tx.execute(select(pattern).where(pattern.is_not(None)).distinct()).scalars())


# --- rows


@cache
def _records() -> Select[Any]:
    """Jobs that are over are read from their own columns, the others summed over shards."""
    over = jobs.c.status.in_([*JOB_OVER])
    done = shards.c.completed + shards.c.failed
    is_done = shards.c.state == ShardState.DONE
    sums = (
        select(
            *(func.coalesce(func.sum(shards.c[name]), 0).label(name) for name in SUMS),
            func.coalesce(func.sum(shards.c.busy_seconds), 0.0).label("busy_seconds"),
            func.count().filter(is_done).label("shards"),
            func.stddev_samp(shards.c.busy_seconds / func.nullif(done, 0))
            .filter(is_done)
            .label("spread"),
        )
        # Not with `~over` by itself: of that PostgreSQL makes a step which copies each row.
        .where(shards.c.job_id == case((~over, jobs.c.id)), SHARD_BEGUN)
        .lateral("sums")
    )
    # By itself: to count what differs among all shards, all of them would be sorted.
    workers = (
        select(func.count(shards.c.leased_by.distinct()))
        .where(shards.c.job_id == jobs.c.id, shards.c.state == ShardState.RUNNING)
        .scalar_subquery()
        .label("workers")
    )
    counts = [
        cast(case((over, jobs.c[name]), else_=sums.c[name]), jobs.c[name].type).label(name)
        for name in SUMS
    ]
    pace = [workers, *(sums.c[name] for name in ("busy_seconds", "shards", "spread"))]
    own = [column for column in jobs.c if column.name not in SUMS]
    until = func.coalesce(jobs.c.finished_at, clock.now())
    seconds = cast(func.extract("epoch", until - jobs.c.started_at), Double).label("seconds")
    at = clock.now().label("at")
    return select(*own, *counts, *pace, _delivery(), seconds, at).select_from(
        jobs.join(sums, true())
    )


def _delivery() -> Label[Any]:
    when = func.floor(func.extract("epoch", deliveries.c.next_attempt_at))
    said = func.jsonb_build_object(
        *("state", deliveries.c.state),
        *("tries", deliveries.c.tries),
        *("next_try_at", when),
        *("last_error", deliveries.c.last_error),
    )
    newest = select(said).where(deliveries.c.job_id == jobs.c.id)
    newest = newest.order_by(deliveries.c.event_id.desc()).limit(1)
    return newest.scalar_subquery().label("delivery")


def _record(row: Any) -> JobRecord:
    own = JobRecord.__dataclass_fields__.keys() - {"pace", "batching"}
    fields = {name: row[name] for name in own}
    status = fields["status"] = JobStatus(row["status"])
    pace = None
    if status not in JOB_OVER:
        pace = Pace(**{name: row[name] for name in Pace.__dataclass_fields__})
    batching = Batching(**{name: row[name] for name in _BATCHING})
    return JobRecord(**fields, batching=batching, pace=pace)

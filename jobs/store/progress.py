"""How a job goes, as a picture: when documents were stored, how its shards stand, who is at it.

Looks only, and is cheap for a job of ten million documents: what is returned is bounded, however
many shards there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Double,
    Integer,
    Select,
    case,
    cast,
    func,
    literal,
    select,
)

from jobs.database import Transaction
from jobs.states import ShardState
from jobs.store import clock
from jobs.tables import SHARD_BEGUN, jobs, shards, summaries, workers

BUCKETS = 60
CELLS = 300
# Of a job with more documents its shards are looked at, and not each row.
_FEW_ROWS = 10_000

_SECONDS = (1, 2, 5, 10, 15, 30)
_WIDTHS = (
    *_SECONDS,
    *(60 * each for each in _SECONDS),
    *(3600 * each for each in (1, 2, 3, 6, 12, 24, 48, 96, 168)),
)


@dataclass(frozen=True, slots=True)
class Bucket:
    """What was stored in a span of time."""

    documents: int
    failed: int
    """Of the documents."""
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """Buckets one after the other, from when the job started until it was over, or until now."""

    start: datetime
    width: float
    """Seconds of each bucket: a round number, so that there are 60 buckets at most."""
    buckets: Sequence[Bucket]
    by_shard: bool
    """Whether whole shards were put where they ended, as for jobs of many documents."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Some shards in a row, as one square of the strip."""

    first: int
    last: int
    """Their numbers."""
    start: int
    stop: int
    """Their documents: `start <= index < stop`."""
    completed: int
    failed: int
    done: int
    running: int
    cancelled: int
    """Shards in that state; all others wait."""

    @property
    def shards(self) -> int:
        return self.last - self.first + 1

    @property
    def documents(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class AtWork:
    """A worker, and what it holds of one job. Its row may be gone, or not be there yet."""

    name: str
    host: str | None
    device: str | None
    version: str | None
    seen_seconds_ago: float | None
    shards: int
    left: int
    """Documents of these shards that are not over."""
    in_batch: int
    """Documents that go through the model now."""
    since: datetime | None
    """When it took the oldest of these shards; None where another worker had it before."""


def timeline(tx: Transaction, job_id: str) -> Timeline | None:
    """None where the job has not started."""
    until = func.coalesce(jobs.c.finished_at, clock.now())
    row = tx.execute(
        select(jobs.c.started_at, until.label("until"), jobs.c.total).where(jobs.c.id == job_id)
    ).one()
    if row.started_at is None:
        return None
    width = _width((row.until - row.started_at).total_seconds())
    last = int((row.until - row.started_at).total_seconds() // width)
    by_shard = (row.total or 0) > _FEW_ROWS
    query = _of_shards if by_shard else _of_rows
    found = tx.execute(query(job_id, row.started_at, width, last))
    stored = {each.place: Bucket(*each[1:]) for each in found}
    nothing = Bucket(0, 0, 0, 0)
    buckets = [stored.get(place, nothing) for place in range(last + 1)]
    return Timeline(row.started_at, width, buckets, by_shard)


def _width(seconds: float) -> float:
    for width in _WIDTHS:
        if seconds // width < BUCKETS:
            return width
    return seconds / (BUCKETS - 1)


def _of_rows(job_id: str, start: datetime, width: float, last: int) -> Select[*tuple[Any, ...]]:
    column = summaries.c
    place = _place(column.created_at, start, width, last)
    return (
        select(
            place,
            func.count(),
            func.count(column.error_code),
            func.sum(column.input_tokens),
            func.sum(column.output_tokens),
        )
        .where(column.job_id == job_id)
        .group_by(place)
    )


def _of_shards(job_id: str, start: datetime, width: float, last: int) -> Select[*tuple[Any, ...]]:
    column = shards.c
    place = _place(func.coalesce(column.finished_at, clock.now()), start, width, last)
    sums = (
        column.completed + column.failed,
        column.failed,
        column.input_tokens,
        column.output_tokens,
    )
    return (
        select(place, *map(_sum, sums)).where(column.job_id == job_id, SHARD_BEGUN).group_by(place)
    )


def _place(at: ColumnElement[Any], start: datetime, width: float, last: int) -> ColumnElement[int]:
    """What was stored before the start, or after the end, is of the first or the last bucket."""
    # Not `extract`, whose numbers are exact, and slow.
    since = func.date_part("epoch", at - literal(start))
    place = func.least(func.greatest(func.floor(since / width), 0), last)
    return cast(place, Integer).label("place")


def _sum(count: ColumnElement[int]) -> ColumnElement[int]:
    """In doubles, exact up to 2**53: what PostgreSQL adds up bigints in is far slower."""
    return cast(func.sum(cast(count, Double)), BigInteger)


def strip(tx: Transaction, job_id: str, cells: int = CELLS) -> list[Cell]:
    """All shards in order, at most `cells` squares of as many shards each, but for the last."""
    last = tx.execute(
        select(func.max(shards.c.number)).where(shards.c.job_id == job_id)
    ).scalar_one()
    if last is None:
        return []
    each = -(-(last + 1) // cells)
    cell = shards.c.number // literal(each, Integer)
    in_state = {
        state: func.count(case((shards.c.state == state, 1)))
        for state in (ShardState.DONE, ShardState.RUNNING, ShardState.CANCELLED)
    }
    rows = tx.execute(
        select(
            func.min(shards.c.number),
            func.max(shards.c.number),
            func.min(shards.c.start),
            func.max(shards.c.stop),
            _sum(shards.c.completed),
            _sum(shards.c.failed),
            *in_state.values(),
        )
        .where(shards.c.job_id == job_id)
        .group_by(cell)
        .order_by(cell)
    )
    return [Cell(*row) for row in rows]


def at_work(tx: Transaction, job_id: str) -> list[AtWork]:
    """Who holds shards of the job now, by name. Who held some before is not kept."""
    left = shards.c.stop - shards.c.start - shards.c.completed - shards.c.failed
    took = case((shards.c.attempt == 1, shards.c.started_at))
    held = (
        select(
            shards.c.leased_by.label("name"),
            func.count().label("shards"),
            func.sum(left).cast(Integer).label("left"),
            func.sum(func.cardinality(shards.c.next_batch)).cast(Integer).label("in_batch"),
            case((func.count(took) == func.count(), func.min(took))).label("since"),
        )
        .where(shards.c.job_id == job_id, shards.c.state == ShardState.RUNNING)
        .group_by(shards.c.leased_by)
        .subquery()
    )
    ago = cast(func.extract("epoch", clock.now() - workers.c.seen_at), Double)
    known = (workers.c.host, workers.c.device, workers.c.version, ago)
    rows = tx.execute(
        select(held.c.name, *known, held.c.shards, held.c.left, held.c.in_batch, held.c.since)
        .select_from(held.outerjoin(workers, workers.c.name == held.c.name))
        .order_by(held.c.name)
    )
    return [AtWork(*row) for row in rows]

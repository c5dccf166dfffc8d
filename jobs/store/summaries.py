"""Summaries: one row for each document that is over, stored once and never changed."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, Column, ColumnElement, Select, and_, bindparam, func, select, true
from sqlalchemy.exc import DataError

from jobs.database import Transaction
from jobs.job import Row
from jobs.store import given
from jobs.tables import SUMMARY_FAILED, SUMMARY_HAS_DIGEST, summaries


@dataclass(frozen=True, slots=True)
class Failures:
    """The failed documents of a job that have the same error code."""

    code: str
    documents: int
    first_seen: datetime
    last_seen: datetime
    samples: list[dict[str, Any]]
    """`index`, `id` and `message` of some of them."""


_FIELDS = tuple(field.name for field in fields(Row) if field.name != "reused")

_INSERT = (
    given.insert_of_job(summaries, _FIELDS)
    .on_conflict_do_nothing(index_elements=["job_id", "index"])
    .returning(summaries.c.index)
)


def _first_of_each() -> Select[Any]:
    """Made once: to put it together takes longer than to look up a window of documents.

    In the order of digests, between each and itself: with `=` PostgreSQL reads the whole table for
    each one that is not there, where it believes that a few texts are repeated all over it.
    """
    own = summaries.c.digest
    kind = own.type
    each = func.unnest(bindparam("digests", type_=ARRAY(kind)))
    wanted = each.table_valued(Column("digest", kind)).render_derived(name="wanted")
    first = (
        select(*(summaries.c[name] for name in _FIELDS))
        .where(own >= wanted.c.digest, own <= wanted.c.digest, SUMMARY_HAS_DIGEST)
        .order_by(own)
        .limit(1)
        .lateral("first")
    )
    return select(first).select_from(wanted.join(first, true()))


_SAME = _first_of_each()


def add(tx: Transaction, job_id: str, rows: Sequence[Row]) -> list[Row]:
    """Store what is not stored yet; returns the rows that were actually inserted.

    A row that PostgreSQL refuses becomes a failed row; the others are stored as they are.
    """
    try:
        with tx.begin_nested():
            return _insert(tx, job_id, rows)
    except DataError:
        return [stored for row in rows for stored in _insert_one(tx, job_id, row)]


def done(tx: Transaction, job_id: str, start: int, stop: int) -> set[int]:
    """Which of the documents `start <= index < stop` are over."""
    column = summaries.c
    return set(
        tx.execute(
            select(column.index).where(
                column.job_id == job_id, column.index >= start, column.index < stop
            )
        ).scalars()
    )


def same(tx: Transaction, digests: Collection[str]) -> dict[str, Row]:
    """For each digest a summary that has it, of whichever job, where there is one.

    One of each, however many there are: a text may be repeated a million times.
    """
    if not digests:
        return {}
    found = [Row(*row) for row in tx.execute(_SAME, {"digests": list(digests)})]
    # PostgreSQL writes them with dashes.
    return {row.digest.replace("-", ""): row for row in found if row.digest}


def page(tx: Transaction, job_id: str, after: int, limit: int) -> list[dict[str, Any]]:
    """Result rows in order of index, those above `after`, at most `limit`."""
    column = summaries.c
    rows = tx.execute(
        select(summaries)
        .where(column.job_id == job_id, column.index > after)
        .order_by(column.index)
        .limit(limit)
    ).mappings()
    return [_result(row) for row in rows]


def at(tx: Transaction, job_id: str, indexes: Sequence[int]) -> dict[int, dict[str, Any]]:
    """The result rows of these documents, by index, as far as there are any."""
    column = summaries.c
    rows = tx.execute(
        select(summaries).where(column.job_id == job_id, column.index.in_(indexes))
    ).mappings()
    return {row["index"]: _result(row) for row in rows}


def identifiers(tx: Transaction, job_id: str) -> list[tuple[int, str | None]]:
    """Index and id of each row of a job, in order of index."""
    column = summaries.c
    rows = tx.execute(
        select(column.index, column.id).where(column.job_id == job_id).order_by(column.index)
    )
    return [(index, identifier) for index, identifier in rows]


def failures(tx: Transaction, job_id: str, samples: int) -> list[Failures]:
    """A job's failed documents by error code, the most frequent first, each with its first
    `samples` by index."""
    failed = and_(summaries.c.job_id == job_id, SUMMARY_FAILED)
    columns = summaries.c
    counted = tx.execute(
        select(
            columns.error_code,
            func.count().label("documents"),
            func.min(columns.created_at).label("first_seen"),
            func.max(columns.created_at).label("last_seen"),
        )
        .where(failed)
        .group_by(columns.error_code)
        .order_by(func.count().desc(), columns.error_code)
    ).all()
    return [
        Failures(
            row.error_code,
            row.documents,
            row.first_seen,
            row.last_seen,
            _samples(tx, and_(failed, columns.error_code == row.error_code), samples),
        )
        for row in counted
    ]


def _samples(tx: Transaction, which: ColumnElement[bool], limit: int) -> list[dict[str, Any]]:
    column = summaries.c
    rows = tx.execute(
        select(column.index, column.id, column.error_message.label("message"))
        .where(which)
        .order_by(column.index)
        .limit(limit)
    ).mappings()
    return [dict(row) for row in rows]


def _insert(tx: Transaction, job_id: str, rows: Sequence[Row]) -> list[Row]:
    if not rows:
        return []
    values = [{name: getattr(row, name) for name in _FIELDS} for row in rows]
    stored = set(tx.execute(_INSERT, {"job": job_id, "rows": values}).scalars())
    return [row for row in rows if row.index in stored]


def _insert_one(tx: Transaction, job_id: str, row: Row) -> Iterator[Row]:
    try:
        with tx.begin_nested():
            yield from _insert(tx, job_id, [row])
    except DataError as error:
        why = f"document {row.index}: SQL refuses it: {type(error.orig).__name__}"
        # Nothing else of it: it is neither reused nor done in parts, and no tokens are counted.
        refused = Row(
            index=row.index,
            id=None,
            summary=None,
            input_tokens=0,
            output_tokens=0,
            truncated=False,
            finish_reason=None,
            error_code="unstorable",
            error_message=why,
            reference=None,
        )
        yield from _insert(tx, job_id, [refused])


def _result(row: Any) -> dict[str, Any]:
    code = row["error_code"]
    return {
        "index": row["index"],
        "id": row["id"],
        "summary": row["summary"],
        "input_tokens": row["input_tokens"],
        "output_tokens": row["output_tokens"],
        "truncated": row["truncated"],
        "finish_reason": row["finish_reason"],
        "depth": row["depth"],
        "spans": row["spans"],
        "error": None if code is None else {"code": code, "message": row["error_message"]},
        "reference": row["reference"],
    }

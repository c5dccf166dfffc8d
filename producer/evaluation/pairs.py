"""A job's rows beside its documents, and beside the rows of another job; in flat memory."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import itemgetter
from typing import Any

from jobs.database import Database
from jobs.errors import UsageError
from jobs.job import Extent
from jobs.sources import Sources
from jobs.store import summaries
from producer import reading, results

Row = dict[str, Any]
_ROWS = 1000
_OTHERWISE = "summaries and references alone are scored with --no-documents"


@dataclass(frozen=True, slots=True)
class Pair:
    """A result row, with its document's text, or None where no document is read."""

    row: Row
    text: str | None
    reference: str | None
    """None where it is missing or blank."""


def with_documents(
    database: Database, sources: Sources, job_id: str, reference_column: str | None = None
) -> Iterator[Pair]:
    """The rows stored so far, in order of index, failed ones among them. `reference_column` is
    one of the source's, in the place of the reference that the job was submitted with.

    Raises what `reading` does, and UsageError for a column that is not there or holds no text.
    """
    rows = results.rows(database, job_id)
    row = next(rows, None)
    for extent in reading.extents(database, job_id):
        of_extent = []
        while row is not None and row["index"] < extent.stop:
            of_extent.append(row)
            row = next(rows, None)
        if of_extent:
            yield from _with_texts(sources, extent, of_extent, reference_column)


def alone(database: Database, job_id: str) -> Iterator[Pair]:
    """The rows stored so far, without their documents."""
    for row in results.rows(database, job_id):
        yield Pair(row, None, _filled(row["reference"]))


@dataclass(frozen=True)
class Matching:
    """Which rows of two jobs are of the same document."""

    by: str
    """`id` where all rows of both have one of their own, else `index`."""
    only_a: int
    only_b: int
    partners: Mapping[int, int] = field(repr=False)
    """Index in b, by index in a."""


def match(database: Database, a: str, b: str) -> Matching:
    """Holds the ids of all rows in memory, and no texts."""
    with database.transaction() as tx:
        ours, theirs = (summaries.identifiers(tx, job_id) for job_id in (a, b))
    by = "id" if _have_own_ids(ours) and _have_own_ids(theirs) else "index"
    key = itemgetter(1 if by == "id" else 0)
    known = {key(row): row[0] for row in theirs}
    partners = {row[0]: known[key(row)] for row in ours if key(row) in known}
    return Matching(by, len(ours) - len(partners), len(theirs) - len(partners), partners)


def side_by_side(database: Database, a: str, b: str, found: Matching) -> Iterator[tuple[Row, Row]]:
    """The rows that `match` found, in the order of a's. A retry may have taken some away."""
    indexes = iter(sorted(found.partners))
    while page := list(islice(indexes, _ROWS)):
        with database.transaction() as tx:
            ours = summaries.at(tx, a, page)
            theirs = summaries.at(tx, b, [found.partners[index] for index in page])
        for index in page:
            other = found.partners[index]
            if index in ours and other in theirs:
                yield ours[index], theirs[other]


def reference(*rows: Row) -> str | None:
    """The first that is there."""
    return next(filter(None, (_filled(row["reference"]) for row in rows)), None)


def _have_own_ids(rows: Sequence[tuple[int, str | None]]) -> bool:
    return len({identifier for _, identifier in rows} - {None}) == len(rows)


def _with_texts(
    sources: Sources, extent: Extent, rows: Sequence[Row], column: str | None
) -> Iterator[Pair]:
    with reading.reading(_OTHERWISE):
        documents = sources.read(extent)
        columns = sources.rows(extent) if column else []
    for row in rows:
        place = row["index"] - extent.start
        given = _in_column(columns[place], column, row) if column else row["reference"]
        yield Pair(row, documents[place].text, _filled(given))


def _in_column(values: Mapping[str, Any], column: str, row: Row) -> str | None:
    if row["error"]:  # a line that could not be read has no columns
        return None
    if column not in values:
        there = ", ".join(map(repr, values))
        raise UsageError(f"document {row['index']} has no column {column!r}; it has {there}")
    value = values[column]
    if value is not None and not isinstance(value, str):
        found = type(value).__name__
        raise UsageError(f"document {row['index']}: column {column!r} holds {found}, not a text")
    return value


def _filled(text: str | None) -> str | None:
    return text if text and text.strip() else None

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

    Raises what `reading` does, and UsageError for a column that holds no text or is not there,
    not among the first documents at least.
    """
    rows = results.rows(database, job_id)
    row = next(rows, None)
    column = _Column(reference_column) if reference_column else None
    for extent in reading.extents(database, job_id):
        of_extent = []
        while row is not None and row["index"] < extent.stop:
            of_extent.append(row)
            row = next(rows, None)
        if of_extent:
            yield from _with_texts(sources, extent, of_extent, column)


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
    sources: Sources, extent: Extent, rows: Sequence[Row], column: "_Column | None"
) -> Iterator[Pair]:
    with reading.reading(_OTHERWISE):
        documents = sources.read(extent)
        given = column.of(extent, sources.rows(extent)) if column else []
    for row in rows:
        place = row["index"] - extent.start
        reference = given[place] if column else row["reference"]
        yield Pair(row, documents[place].text, _filled(reference))


def _filled(text: str | None) -> str | None:
    return text if text and text.strip() else None


class _Column:
    """References in a column of the source."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._seen = False

    def of(self, extent: Extent, rows: Sequence[Row]) -> list[str | None]:
        """None where it is missing. Raises UsageError."""
        there = dict.fromkeys(name for row in rows for name in row)
        if there and not self._seen and self._name not in there:
            names = ", ".join(map(repr, there))
            raise UsageError(f"--reference-column {self._name!r}: the source has {names}")
        self._seen = True
        return [self._text(index, row) for index, row in enumerate(rows, extent.start)]

    def _text(self, index: int, row: Row) -> str | None:
        value = row.get(self._name)
        if value is None or isinstance(value, str):
            return value
        found = type(value).__name__
        raise UsageError(
            f"--reference-column {self._name!r}: of document {index} it is {found}, not a text"
        )

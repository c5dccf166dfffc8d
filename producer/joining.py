"""A job's source given back, column by column, with the summaries beside them.

One row for each document that is over, in order of index; of one that failed the summary is
null, and beside it stands why. The source is read anew, a shard at a time, in step with the
summaries: memory stays flat, and nothing is kept of it. What a source holds is for
`jobs.sources` to know.
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, BinaryIO

from jobs.database import Database
from jobs.errors import UsageError
from jobs.job import Sample
from jobs.sources import Sources
from jobs.store import summaries
from producer import column_types, formats, reading
from producer.column_types import ColumnTypes

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]

_OTHERWISE = "summaries alone are had without --join"


class Joined:
    """The rows of a join, and their columns (a `formats.Columns`).

    Whatever reads the source raises NotFound where it is gone or is not what it was, NotAllowed
    where it may not be read here, Unreachable where that may pass.
    """

    def __init__(
        self, database: Database, sources: Sources, job_id: str, summary_column: str | None = None
    ) -> None:
        """Without `summary_column`: `summary`, or where the source has one `generated_summary`."""
        self._database = database
        self._sources = sources
        self._job_id = job_id
        self._asked = summary_column
        self._types: ColumnTypes | None = None
        self._names: tuple[str, str] | None = None

    @property
    def summary_column(self) -> str:
        return self._named()[0]

    def rows(self) -> Iterator[Row]:
        """Of the documents that are over by now.

        Raises UsageError for a document with a column of the name that the summaries have.
        """
        return (row for _, row in self.numbered())

    def numbered(self, after: int = -1) -> Iterator[tuple[int, Row]]:
        """As `rows`, with the index of each; those above `after`."""
        names = self._named()
        for extent in self._extents(after + 1):
            with self._database.transaction() as tx:
                size = extent.stop - extent.start
                before = max(extent.start - 1, after)
                stored = summaries.page(tx, self._job_id, before, size)
            if not stored:
                return
            own = {row["index"]: row for row in stored if row["index"] < extent.stop}
            if own:
                documents = zip(range(extent.start, extent.stop), self._read(extent), strict=True)
                yield from ((n, _joined(n, row, own[n], names)) for n, row in documents if n in own)

    def write(self, form: str, out: BinaryIO) -> int:
        return formats.WRITERS[form](self.rows(), out, self)

    # --- columns

    def header(self) -> Sequence[str]:
        return [*self._known().names(), *self._named()]

    def fields(self, row: Row) -> Sequence[object]:
        return [formats.flat_value(row.get(name)) for name in self.header()]

    def table(self, rows: list[Row]) -> "pa.Table":
        return column_types.table(rows, self.schema(), self._known().written())

    def schema(self) -> "pa.Schema":
        """The source's own columns, and two texts: the summary and its error."""
        return self._known().schema(*self._named())

    def _known(self) -> ColumnTypes:
        """All columns; where its files do not state them, the whole source is read for it."""
        if self._types is None:
            types = ColumnTypes()
            for extent in self._extents():
                with reading.reading(_OTHERWISE):
                    stated = self._sources.schema(extent)
                if stated is None:
                    types.add(self._read(extent))
                else:
                    types.add_schema(stated)
            self._types, self._names = types, _free(types.names(), self._asked)
        return self._types

    def _named(self) -> tuple[str, str]:
        """Of the summary and its error, by the first documents where not all are known."""
        if self._names is None:
            first = next(self._extents(), None)
            rows = self._read(first) if first else []
            self._names = _free({name for row in rows for name in row}, self._asked)
        return self._names

    # --- reading

    def _extents(self, after: int = 0) -> Iterator[Sample]:
        return reading.extents(self._database, self._job_id, after)

    def _read(self, extent: Sample) -> list[Row]:
        with reading.reading(_OTHERWISE):
            return self._sources.rows(extent)


def _joined(index: int, row: Row, stored: Row, names: tuple[str, str]) -> Row:
    for name in names:
        if name in row:
            message = f"document {index} has a column {name!r} of its own"
            raise UsageError(f"{message}; name another for summaries with --summary-column")
    error = stored["error"]
    why = error and f"{error['code']}: {error['message']}"
    return {**row, names[0]: stored["summary"], names[1]: why}


def _free(taken: Collection[str], asked: str | None) -> tuple[str, str]:
    """Names for the summary and its error that no column has."""
    for name in [asked] if asked else _candidates():
        names = name, f"{name}_error"
        if not {*names} & {*taken}:
            return names
    clash = names[0] if names[0] in taken else names[1]
    raise UsageError(f"--summary-column {asked}: the source has a column {clash}; name another")


def _candidates() -> Iterator[str]:
    yield from ("summary", "generated_summary")
    yield from (f"generated_summary_{number}" for number in count(2))

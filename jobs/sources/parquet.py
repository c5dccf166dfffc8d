"""Parquet: a row a document.

A shard's position is the number of its first row in the file, from 0. To plan, footers alone
are read. To read, only the columns and row groups that are wanted are decoded, a batch at a
time; a shard that begins where the last one ended goes on there, any other one decodes what
lies before it in its row group.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from jobs.columns import Schema
from jobs.documents import Record
from jobs.sources.arrow_files import ArrowFile, check_columns
from jobs.sources.cuts import Cuts
from jobs.sources.opened import Described, Opened, Unreadable, changed

if TYPE_CHECKING:
    import pyarrow as pa

KIND = "parquet"
ENDINGS = (".parquet", ".pq")

_WHAT = "Parquet"

# Of a column chunk, read at once: its pages are decoded one by one, and never held all.
_BUFFER = 1 << 22
# Decoded at once: so many rows at most, and about so many bytes.
_ROWS = 1024
_BYTES = 1 << 23


def describe(opened: Opened) -> Described:
    fields = _cursor(opened).schema
    return Described(Schema({field.name: str(field.type) for field in fields}))


def schema(opened: Opened) -> "pa.Schema":
    """All of its columns, with their types."""
    return _cursor(opened).schema


def plan(opened: Opened, cuts: Cuts) -> Iterator[tuple[int, dict[str, Any]]]:
    cursor = _cursor(opened)
    check_columns(cursor.schema, opened)
    start = cuts.skip(cursor.rows)
    while start < cursor.rows and (size := cuts.size()):
        documents = min(size, cursor.rows - start)
        yield documents, {"row": start}
        start += documents


def read(
    opened: Opened, position: dict[str, Any], documents: int, columns: Sequence[str] | None
) -> list[Record]:
    """Raises Unreadable, and JobError where the file does not hold so many there."""
    first = position["row"]
    cursor = _cursor(opened)
    if first + documents > cursor.rows:
        raise changed(opened.name)
    records: list[Record] = []
    for batch in cursor.batches(first, documents, columns):
        records += records_of(batch, first + len(records))
    return records


def records_of(batch: "pa.RecordBatch", first: int) -> list[Record]:
    """Its rows, the first of which is `first` in its file."""
    try:
        return [Record(f"row {n}", row) for n, row in enumerate(batch.to_pylist(), first)]
    except UnicodeDecodeError as error:
        if batch.num_rows == 1:
            return [Record(f"row {first}", error=("invalid_utf8", f"not UTF-8 ({error.reason})"))]
        half = batch.num_rows // 2
        return records_of(batch.slice(0, half), first) + records_of(batch.slice(half), first + half)


def _cursor(opened: Opened) -> "_Cursor":
    if opened.cursor is None:
        opened.cursor = _Cursor(opened)
    cursor: _Cursor = opened.cursor
    return cursor


class _Cursor:
    """A file's footer, and the batches that were read last, up to where the next shard goes on."""

    def __init__(self, opened: Opened) -> None:
        import pyarrow.parquet as pq

        if opened.compressed:
            raise Unreadable("Parquet is compressed within, and not read so; decompress the file")
        self._source = ArrowFile(opened.file)
        with self._source.decoded(_WHAT):
            self._file = pq.ParquetFile(self._source, pre_buffer=False, buffer_size=_BUFFER)
            self.schema = self._file.schema_arrow
        footer = self._file.metadata
        self.rows: int = footer.num_rows
        sizes = (footer.row_group(n).num_rows for n in range(footer.num_row_groups))
        self._starts = [0, *accumulate(sizes)]
        """Of each row group its first row, and the end."""
        self._columns: list[str] | None = None
        self._ahead: Iterator[pa.RecordBatch] = iter(())
        self._left: pa.RecordBatch | None = None
        """Of the last batch, what nobody had yet."""
        self._at = self.rows
        """The row that comes next."""

    def close(self) -> None:
        self._ahead, self._left = iter(()), None
        self._file.close(force=True)

    def batches(
        self, first: int, count: int, columns: Sequence[str] | None
    ) -> Iterator["pa.RecordBatch"]:
        """Rows from `first` on, with those of `columns` that there are."""
        names = self.schema.names
        wanted = names if columns is None else [name for name in names if name in columns]
        ahead = self._at <= first and self._group(self._at) == self._group(first)
        if not ahead or wanted != self._columns:
            self._begin(self._group(first), wanted)
        while self._at < first:
            self._next(first - self._at)
        stop = first + count
        while self._at < stop:
            yield self._next(stop - self._at)

    def _group(self, row: int) -> int:
        return bisect_right(self._starts, row) - 1

    def _begin(self, group: int, columns: list[str]) -> None:
        self._columns, self._left, self._at = columns, None, self._starts[group]
        with self._source.decoded(_WHAT):
            self._ahead = self._file.iter_batches(
                self._batch_size(group, columns),
                row_groups=range(group, len(self._starts) - 1),
                columns=columns,
                # Other cores have models to run.
                use_threads=False,
            )

    def _batch_size(self, group: int, columns: list[str]) -> int:
        footer = self._file.metadata.row_group(group)
        chunks = (footer.column(number) for number in range(footer.num_columns))
        size: int = sum(
            chunk.total_uncompressed_size
            for chunk in chunks
            if chunk.path_in_schema.partition(".")[0] in columns
        )
        rows: int = footer.num_rows
        return max(1, min(_ROWS, _BYTES * rows // max(1, size)))

    def _next(self, most: int) -> "pa.RecordBatch":
        if self._left is None:
            with self._source.decoded(_WHAT):
                self._left = next(self._ahead, None)
        if self._left is None:
            raise Unreadable("damaged: it ends before its footer says")
        batch, rest = self._left.slice(0, most), self._left.slice(most)
        self._left = rest if rest.num_rows else None
        self._at += batch.num_rows
        return batch

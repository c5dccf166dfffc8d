"""Arrow's own files, in both of its formats: streams, such as those of `save_to_disk`, and files.

A shard's position is the record batch that it begins in, the row in it, and the number of that
row in the file, from 0. The batch is a byte offset in a stream and a number in a file; so a
shard is read without what lies before it. A file on this machine is mapped into memory: planning
reads no text, and reading only the columns that are wanted. It must not shrink while it is open:
the system ends whoever reads on.
"""

import io
import mmap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from jobs.columns import Schema
from jobs.documents import Record
from jobs.sources.arrow_files import ArrowFile, check_columns
from jobs.sources.cuts import Cuts
from jobs.sources.opened import Described, Opened, Unreadable, changed
from jobs.sources.parquet import records_of

if TYPE_CHECKING:
    import pyarrow as pa

KIND = "arrow"
ENDINGS = (".arrow", ".feather", ".ipc")

_WHAT = "Arrow"
_MAGIC = b"ARROW1"
"""How the file format begins; a stream begins with its schema."""


def describe(opened: Opened) -> Described:
    fields = _cursor(opened).schema
    return Described(Schema({field.name: str(field.type) for field in fields}))


def schema(opened: Opened) -> "pa.Schema":
    """All of its columns, with their types."""
    return _cursor(opened).schema


def plan(opened: Opened, cuts: Cuts) -> Iterator[tuple[int, dict[str, Any]]]:
    """Cut the file by the lengths of its batches; a shard may span several."""
    documents = size = before = 0
    position: dict[str, Any] = {}
    check_columns(_cursor(opened).schema, opened)
    for place, batch in _cursor(opened).since(None):
        rows = batch.num_rows
        row = cuts.skip(rows) if not documents else 0
        while row < rows:
            if not documents:
                position = {"batch": place, "row": row, "number": before + row}
                if not (size := cuts.size()):
                    return
            taken = min(size - documents, rows - row)
            documents += taken
            row += taken
            if documents == size:
                yield documents, position
                documents = 0
        before += rows
    if documents:
        yield documents, position


def read(
    opened: Opened, position: dict[str, Any], documents: int, columns: Sequence[str] | None
) -> list[Record]:
    """Raises Unreadable, and JobError where the file does not hold so many there."""
    records: list[Record] = []
    row = position["row"]
    for _, batch in _cursor(opened).since(position["batch"]):
        part = batch.slice(row, documents - len(records))
        if columns is not None:
            part = part.select([name for name in part.schema.names if name in columns])
        records += records_of(part, position["number"] + len(records))
        row = 0
        if len(records) == documents:
            return records
    raise changed(opened.name)


class _Batches(Protocol):
    """The record batches of a file of one of the formats."""

    schema: "pa.Schema"

    def since(self, place: int | None) -> Iterator[tuple[int, "pa.RecordBatch"]]:
        """Those from `place` on, or all, each with its own place."""


class _Cursor:
    """A file's schema, and its batches from any place on."""

    def __init__(self, opened: Opened) -> None:
        opened.file.seek(0)
        of_files = opened.file.read(len(_MAGIC)) == _MAGIC
        if of_files and opened.compressed:
            raise Unreadable("Arrow's file format is not read compressed; decompress the file")
        self._file = ArrowFile(opened.file)
        with self._file.decoded(_WHAT):
            source = _source(opened, self._file)
            self._batches: _Batches = _Numbered(source) if of_files else _Streamed(source)
            self.schema = self._batches.schema

    def since(self, place: int | None) -> Iterator[tuple[int, "pa.RecordBatch"]]:
        """Raises Unreadable."""
        batches = self._batches.since(place)
        while True:
            with self._file.decoded(_WHAT):
                found = next(batches, None)
            if found is None:
                return
            yield found


def _cursor(opened: Opened) -> _Cursor:
    if opened.cursor is None:
        opened.cursor = _Cursor(opened)
    cursor: _Cursor = opened.cursor
    return cursor


def _source(opened: Opened, file: ArrowFile) -> "pa.NativeFile":
    """The file mapped into memory, where it lies on this machine; else read as needed."""
    import pyarrow as pa

    file.seek(0)
    try:
        mapped = mmap.mmap(opened.file.fileno(), 0, access=mmap.ACCESS_READ)
    except io.UnsupportedOperation:
        return pa.PythonFile(file, mode="r")
    except ValueError:
        raise Unreadable("it is empty") from None
    return pa.BufferReader(pa.py_buffer(mapped))


class _Streamed:
    """The schema, then a message for each batch that tells its own length."""

    def __init__(self, source: "pa.NativeFile") -> None:
        from pyarrow import ipc, types

        self._source = source
        if (message := _message(source)) is None:
            raise Unreadable("it is empty")
        self.schema = ipc.read_schema(message)
        self._first = source.tell()
        if any(types.is_dictionary(field.type) for field in self.schema):
            raise Unreadable(
                "a stream with dictionary columns can only be read from its start; write it in "
                "Arrow's file format, or as Parquet"
            )

    def since(self, place: int | None) -> Iterator[tuple[int, "pa.RecordBatch"]]:
        from pyarrow import ipc

        at = self._first if place is None else place
        self._source.seek(at)
        while (message := _message(self._source)) is not None:
            yield at, ipc.read_record_batch(message, self.schema)
            at = self._source.tell()


def _message(source: "pa.NativeFile") -> "pa.Message | None":
    """None at the end of a stream."""
    from pyarrow import ipc

    try:
        return ipc.read_message(source)
    except EOFError:
        return None


class _Numbered:
    """Batches by number, found by a footer."""

    def __init__(self, source: "pa.NativeFile") -> None:
        from pyarrow import ipc

        self._reader = ipc.open_file(source)
        self.schema = self._reader.schema

    def since(self, place: int | None) -> Iterator[tuple[int, "pa.RecordBatch"]]:
        for number in range(place or 0, self._reader.num_record_batches):
            yield number, self._reader.get_batch(number)

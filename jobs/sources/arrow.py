"""Arrow's own files, in both of its formats: streams, such as those of `save_to_disk`, and files.

A shard's position is the record batch that it begins in, and the row in it. The batch is a byte
offset in a stream and a number in a file; so a shard is read without what lies before it. A
file on this machine is mapped into memory: planning reads no text, and reading only the columns
that are wanted. Must not shrink while it is open: whoever maps it would be killed for it.
"""

import io
import mmap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import pyarrow as pa

from jobs.columns import Schema
from jobs.documents import Record
from jobs.sources.cuts import Cuts
from jobs.sources.opened import Described, Opened, Unreadable, changed

KIND = "arrow"
ENDINGS = (".arrow", ".feather", ".ipc")

_MAGIC = b"ARROW1"
"""How the file format begins; a stream begins with its schema."""


class _Batches(Protocol):
    """The record batches of a file."""

    schema: pa.Schema

    def since(self, place: int | None) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Those from `place` on, or all, each with its own place."""


def describe(opened: Opened) -> Described:
    with _readable():
        schema = _batches(opened).schema
        return Described(Schema({field.name: str(field.type) for field in schema}))


def plan(opened: Opened, cuts: Cuts) -> Iterator[tuple[int, dict[str, Any]]]:
    """Cut the file by the lengths of its batches; a shard may span several."""
    documents = size = 0
    position: dict[str, Any] = {}
    for place, rows in _lengths(opened):
        row = cuts.skip(rows)
        while row < rows:
            if not documents:
                position = {"batch": place, "row": row}
                if not (size := cuts.size()):
                    return
            taken = min(size - documents, rows - row)
            documents += taken
            row += taken
            if documents == size:
                yield documents, position
                documents = 0
    if documents:
        yield documents, position


def read(
    opened: Opened, position: dict[str, Any], documents: int, columns: Sequence[str] | None
) -> list[Record]:
    """Raises JobError where the file does not hold so many there."""
    records: list[Record] = []
    row = position["row"]
    with _readable():
        for _, batch in _batches(opened).since(position["batch"]):
            part = batch.slice(row, documents - len(records))
            if columns is not None:
                part = part.select([name for name in part.schema.names if name in columns])
            records += [Record(None, value) for value in part.to_pylist()]
            row = 0
            if len(records) == documents:
                return records
    raise changed(opened.name)


def _lengths(opened: Opened) -> Iterator[tuple[int, int]]:
    with _readable():
        for place, batch in _batches(opened).since(None):
            yield place, batch.num_rows


def _batches(opened: Opened) -> _Batches:
    if opened.cursor is None:
        opened.file.seek(0)
        begins_as_file = opened.file.read(len(_MAGIC)) == _MAGIC
        opened.cursor = (_File if begins_as_file else _Stream)(_source(opened))
    batches: _Batches = opened.cursor
    return batches


def _source(opened: Opened) -> pa.NativeFile:
    """The file mapped into memory, where it lies on this machine; else read as needed."""
    opened.file.seek(0)
    try:
        mapped = mmap.mmap(opened.file.fileno(), 0, access=mmap.ACCESS_READ)
    except io.UnsupportedOperation:
        return pa.PythonFile(opened.file, mode="r")
    except ValueError:
        raise Unreadable("it is empty") from None
    return pa.BufferReader(pa.py_buffer(mapped))


class _Stream:
    """The schema, then one message for each batch, each of which tells its length."""

    def __init__(self, source: pa.NativeFile) -> None:
        self._source = source
        self.schema = pa.ipc.read_schema(pa.ipc.read_message(source))
        self._first = source.tell()
        if any(pa.types.is_dictionary(field.type) for field in self.schema):
            raise Unreadable(
                "a stream with dictionary columns can only be read from its start; write it in "
                "Arrow's file format, or as Parquet"
            )

    def since(self, place: int | None) -> Iterator[tuple[int, pa.RecordBatch]]:
        self._source.seek(self._first if place is None else place)
        while True:
            place = self._source.tell()
            try:
                message = pa.ipc.read_message(self._source)
            except EOFError:
                return
            yield place, pa.ipc.read_record_batch(message, self.schema)


class _File:
    """Batches by number, found by a footer."""

    def __init__(self, source: pa.NativeFile) -> None:
        self._reader = pa.ipc.open_file(source)
        self.schema = self._reader.schema

    def since(self, place: int | None) -> Iterator[tuple[int, pa.RecordBatch]]:
        for number in range(place or 0, self._reader.num_record_batches):
            yield number, self._reader.get_batch(number)


@contextmanager
def _readable() -> Iterator[None]:
    """Raises Unreadable for what Arrow says of a file that is damaged."""
    try:
        yield
    except (pa.ArrowException, EOFError) as error:
        raise Unreadable(f"not Arrow, or damaged ({_first_line(error)})") from None
    except OSError as error:
        if error.errno is not None:  # of the disk or the network
            raise
        raise Unreadable(f"not Arrow, or damaged ({_first_line(error)})") from None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]

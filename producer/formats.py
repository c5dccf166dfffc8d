"""Rows as JSON lines, CSV or Parquet: rows in, bytes out, in flat memory.

A writer takes rows, what columns they have, and a file that is open for bytes, and returns
how many rows it wrote. Where the bytes end up, and what becomes of half a file, is not known
here; nor is what the rows are of.
"""

import base64
import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from math import isfinite
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from jobs.documents import storable

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]

_CSV_HEADER = (
    *("index", "id", "summary", "input_tokens", "output_tokens", "truncated", "finish_reason"),
    *("depth", "spans", "error_code", "error_message", "reference"),
)
# Rows of one Parquet row group, and characters in them; so much is in memory at once.
_ROW_GROUP = 10_000
_GROUP_CHARACTERS = 32_000_000


class Columns(Protocol):
    """What columns rows have. Each is asked for only where it is needed."""

    def header(self) -> Sequence[str]:
        """Of a CSV file."""

    def fields(self, row: Row) -> Sequence[object]:
        """A row under that header."""

    def table(self, rows: list[Row]) -> "pa.Table":
        """Some rows, in the types of `schema`."""

    def schema(self) -> "pa.Schema":
        """Of a Parquet file."""


class Writer(Protocol):
    def __call__(self, rows: Iterable[Row], out: BinaryIO, columns: Columns = ...) -> int: ...


class ResultColumns:
    """Those of result rows.

    In CSV `error` becomes `error_code` and `error_message`. Null is an empty field, and so is
    an empty string: `error_code` tells a failed document from an empty summary.
    `truncated` is true or false and `spans` brackets, as in JSON.
    """

    def header(self) -> Sequence[str]:
        return _CSV_HEADER

    def fields(self, row: Row) -> Sequence[object]:
        error = row["error"] or {}
        flat = {**row, "error_code": error.get("code"), "error_message": error.get("message")}
        return [flat_value(flat[name]) for name in _CSV_HEADER]

    def table(self, rows: list[Row]) -> "pa.Table":
        import pyarrow as pa

        return pa.Table.from_pylist(rows, schema=self.schema())

    def schema(self) -> "pa.Schema":
        import pyarrow as pa

        return pa.schema(
            [
                ("index", pa.int64()),
                ("id", pa.string()),
                ("summary", pa.string()),
                ("input_tokens", pa.int32()),
                ("output_tokens", pa.int32()),
                ("truncated", pa.bool_()),
                ("finish_reason", pa.string()),
                ("depth", pa.int32()),
                ("spans", pa.list_(pa.list_(pa.int64()))),
                ("error", pa.struct([("code", pa.string()), ("message", pa.string())])),
                ("reference", pa.string()),
            ]
        )


RESULTS = ResultColumns()


def write_jsonl(rows: Iterable[Row], out: BinaryIO, columns: Columns = RESULTS) -> int:
    """One object a line, in UTF-8."""
    count = 0
    for count, line in enumerate(json_lines(rows, columns), 1):  # noqa: B007 - how many they were
        out.write(line)
    return count


def write_csv(rows: Iterable[Row], out: BinaryIO, columns: Columns = RESULTS) -> int:
    r"""CSV after RFC 4180, in UTF-8: a header, lines that end in CR LF, quotes where they
    are needed; a line break in a text stays in it, between quotes."""
    count = 0
    for count, line in enumerate(csv_lines(rows, columns)):  # noqa: B007 - the first is the header
        out.write(line)
    return count


def write_parquet(rows: Iterable[Row], out: BinaryIO, columns: Columns = RESULTS) -> int:
    """Parquet with zstd, a row group for each 10,000 rows, or fewer where they are long."""
    from pyarrow.parquet import ParquetWriter

    count = 0
    with ParquetWriter(out, columns.schema(), compression="zstd") as file:
        for group in groups(rows):
            file.write_table(columns.table(group))
            count += len(group)
    return count


def json_lines(rows: Iterable[Row], columns: Columns = RESULTS) -> Iterator[bytes]:
    """What `write_jsonl` writes, a row at a time."""
    del columns  # each object names its own
    for row in rows:
        yield _line(row) + b"\n"


def csv_lines(rows: Iterable[Row], columns: Columns = RESULTS) -> Iterator[bytes]:
    """What `write_csv` writes: the header, then a row at a time."""
    written = io.StringIO(newline="")
    table = csv.writer(written)
    for fields in chain([columns.header()], map(columns.fields, rows)):
        table.writerow(fields)
        yield _encoded(written.getvalue())
        written.seek(0)
        written.truncate()


def _encoded(line: str) -> bytes:
    try:
        return line.encode()
    except UnicodeEncodeError:  # half a surrogate pair, as a source may have it
        return storable(line).encode()


WRITERS: dict[str, Writer] = {
    "jsonl": write_jsonl,
    "csv": write_csv,
    "parquet": write_parquet,
}


def groups(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """As many rows at once as memory has room for."""
    group: list[Row] = []
    characters = 0
    for row in rows:
        group.append(row)
        characters += _length(row)
        if len(group) >= _ROW_GROUP or characters >= _GROUP_CHARACTERS:
            yield group
            group, characters = [], 0
    if group:
        yield group


def _length(value: object) -> int:
    """Characters and bytes, wherever they are in it."""
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_length, value.values()))
    return sum(map(_length, value)) if isinstance(value, list) else 0


def flat_value(value: object) -> object:
    """As one field of CSV: what JSON has words or brackets for is written as there; `nan` and
    `inf` are what readers of CSV know."""
    if value is None or isinstance(value, str | float):
        return value
    written = as_json(value)
    return json.loads(written) if written.startswith('"') else written


def as_json(value: object) -> str:
    """Times in ISO 8601, bytes in base64, NaN and infinity null, as JSON has neither; of what
    else it has no word for, what Python prints."""
    return _dumped(value, ensure_ascii=False)


def _line(row: Row) -> bytes:
    written = as_json(row)
    try:
        return written.encode()
    except UnicodeEncodeError:  # written as JSON can, too
        return _dumped(row, ensure_ascii=True).encode()


def _dumped(value: object, *, ensure_ascii: bool) -> str:
    try:
        return json.dumps(value, ensure_ascii=ensure_ascii, default=_in_words, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=ensure_ascii, default=_in_words)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value


def _in_words(value: object) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    moment = getattr(value, "isoformat", None)
    return str(moment() if moment else value)

"""Result rows as JSON lines, CSV or Parquet: rows in, bytes out, in flat memory.

A writer takes rows and a file that is open for bytes, and returns how many rows it
wrote. Where the bytes end up, and what becomes of half a file, is not known here.
"""

import codecs
import csv
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]
Writer = Callable[[Iterable[Row], BinaryIO], int]

_CSV_HEADER = (
    *("index", "id", "summary", "input_tokens", "output_tokens", "truncated", "finish_reason"),
    *("error_code", "error_message", "reference"),
)
# Rows of one Parquet row group; so many are in memory at once.
_ROW_GROUP = 10_000


def write_jsonl(rows: Iterable[Row], out: BinaryIO) -> int:
    """One object a line, in UTF-8."""
    count = 0
    for row in rows:
        out.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
        count += 1
    return count


def write_csv(rows: Iterable[Row], out: BinaryIO) -> int:
    r"""CSV after RFC 4180, in UTF-8: a header, lines that end in CR LF, quotes where they
    are needed; a line break in a summary stays in it, between quotes.

    `error` becomes `error_code` and `error_message`. Null is an empty field, and so is
    an empty string: `error_code` tells a failed document from an empty summary.
    `truncated` is true or false, as in JSON.
    """
    table = csv.writer(codecs.getwriter("utf-8")(out))
    table.writerow(_CSV_HEADER)
    count = 0
    for row in rows:
        table.writerow(_csv_fields(row))
        count += 1
    return count


def write_parquet(rows: Iterable[Row], out: BinaryIO) -> int:
    """Parquet with zstd, a row group for each 10,000 rows; `error` is a struct or null."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    schema = _parquet_schema()
    count = 0
    with ParquetWriter(out, schema, compression="zstd") as file:
        for group in _groups(rows, _ROW_GROUP):
            file.write_table(pa.Table.from_pylist(group, schema=schema))
            count += len(group)
    return count


WRITERS: dict[str, Writer] = {
    "jsonl": write_jsonl,
    "csv": write_csv,
    "parquet": write_parquet,
}


def _csv_fields(row: Row) -> list[object]:
    error = row["error"] or {}
    truncated = "true" if row["truncated"] else "false"
    flat = {**row, "truncated": truncated}
    flat |= {"error_code": error.get("code"), "error_message": error.get("message")}
    return [flat[name] for name in _CSV_HEADER]


def _parquet_schema() -> "pa.Schema":
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
            ("error", pa.struct([("code", pa.string()), ("message", pa.string())])),
            ("reference", pa.string()),
        ]
    )


def _groups(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    remaining = iter(rows)
    while group := list(islice(remaining, size)):
        yield group

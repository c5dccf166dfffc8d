"""CSV and TSV: a record a row, with a header. Blank lines are no documents, bad records are.

What separates the fields is a tab in a file that is named .tsv; else it is told from the first
records: a comma, semicolon, tab or bar. A shard's position is where it begins and ends in
bytes, the number of its first line, from 1, and the separator; the header is read again from
the head of the file.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import PurePosixPath
from typing import Any, BinaryIO, NamedTuple

from jobs import columns
from jobs.columns import Schema
from jobs.documents import Record
from jobs.sources import csv_records
from jobs.sources.csv_records import Raw, TooLong, is_blank
from jobs.sources.cuts import Cuts
from jobs.sources.opened import IS_UTF_16, UTF_16, Described, Opened, Unreadable, changed

KIND = "csv"
ENDINGS = (".csv", ".tsv", ".tab")

_TABBED = (".tsv", ".tab")
_BOM = b"\xef\xbb\xbf"

_HEAD = 1 << 20
"""Bytes at most from which the separator is told."""


_LINE_END = 2
"""Bytes at most."""


class _Header(NamedTuple):
    names: list[str]
    delimiter: str
    end: int
    """Where the first record begins, in bytes."""
    line: int
    """The number of its first line."""


def describe(opened: Opened) -> Described:
    header = _header(opened)
    opened.file.seek(header.end)
    raws = _records(opened.file, header)
    read = (csv_records.record(raw, header.names, header.delimiter) for raw in raws)
    first = columns.sample(read)
    good = [record.value for record in first if record.error is None]
    if first and not good:
        _, why = first[0].error or ("", "")
        raise Unreadable(f"none of its first records can be read: {first[0].where}: {why}")
    types = {name: _type([each[name] for each in good]) for name in header.names}
    return Described(Schema(types))


def plan(opened: Opened, cuts: Cuts) -> Iterator[tuple[int, dict[str, Any]]]:
    """Cut the file between records, in one pass."""
    header = _header(opened)
    text = opened.source["columns"]["text"]
    if header.names and text not in header.names:
        raise Unreadable(f"it has no column {text!r}, as the first file has")
    opened.file.seek(header.end)
    begin = end = header.end
    first, documents, size = header.line, 0, 0

    def position() -> dict[str, Any]:
        return {"begin": begin, "end": end, "line": first, "delimiter": header.delimiter}

    for number, data, lines in _split(opened.file, header):
        end += len(data)
        blank = len(data) <= _LINE_END and is_blank(data)
        if not documents:
            if blank or cuts.skip(1):
                begin, first = end, number + lines
                continue
            if not (size := cuts.size()):
                return
        documents += not blank
        if documents == size:
            yield documents, position()
            begin, first, documents = end, number + lines, 0
    if documents:
        yield documents, position()


def read(
    opened: Opened,
    position: dict[str, Any],
    documents: int,
    wanted: Sequence[str] | None,  # noqa: ARG001 - a record is read whole
) -> list[Record]:
    """Raises JobError where the file does not hold so many there."""
    header = opened.cursor or _header(opened, position["delimiter"])
    opened.cursor = header
    opened.file.seek(position["begin"])
    block = opened.file.read(position["end"] - position["begin"])
    records = list(_records(io.BytesIO(block), header, position["line"]))
    if len(records) != documents:
        raise changed(opened.name)
    return [csv_records.record(raw, header.names, header.delimiter) for raw in records]


def _header(opened: Opened, delimiter: str | None = None) -> _Header:
    """Raises Unreadable."""
    opened.file.seek(0)
    head = opened.file.read(_HEAD)
    if head.startswith(UTF_16):
        raise Unreadable(IS_UTF_16)
    start = len(_BOM) if head.startswith(_BOM) else 0
    delimiter = delimiter or _delimiter(opened.name, head[start:])
    end, line = start, 1
    for raw in _whole(head[start:], delimiter):
        end, line = end + len(raw.data), raw.line + raw.lines
        if not is_blank(raw.data):
            return _Header(_names(raw, delimiter), delimiter, end, line)
    return _Header([], delimiter, end, line)


def _whole(head: bytes, delimiter: str) -> Iterator[Raw]:
    """The records at the head of a file; the last one may be cut off."""
    with suppress(TooLong):
        yield from csv_records.split(io.BytesIO(head), delimiter)


def _names(raw: Raw, delimiter: str) -> list[str]:
    """The header's names, each once: empty ones and repeated ones as pandas has them."""
    found = csv_records.fields(raw, delimiter)
    if isinstance(found, Record):
        _, why = found.error or ("", "")
        raise Unreadable(f"its header, {found.where}: {why}")
    names: list[str] = []
    for number, field in enumerate(found):
        name = once = field.strip() or f"Unnamed: {number}"
        repeated = 0
        while once in names:
            repeated += 1
            once = f"{name}.{repeated}"
        names.append(once)
    return names


def _delimiter(name: str, head: bytes) -> str:
    suffixes = PurePosixPath(name.lower()).suffixes
    if any(suffix in _TABBED for suffix in suffixes[-2:]):
        return "\t"
    return max(",;\t|", key=lambda delimiter: _fit(head, delimiter))


def _fit(head: bytes, delimiter: str) -> tuple[float, int]:
    """How well it separates: in how many records it finds as many fields as in the header, and
    how many they are."""
    whole = (raw for raw in _whole(head, delimiter) if not is_blank(raw.data))
    rows = (csv_records.fields(raw, delimiter) for raw in islice(whole, columns.SAMPLE))
    found = [len(row) for row in rows if isinstance(row, list)]
    if not found or found[0] < 2:  # it separates nothing
        return 0, 0
    return found.count(found[0]) / len(found), found[0]


def _split(file: BinaryIO, header: _Header, line: int | None = None) -> Iterator[Raw]:
    """Raises Unreadable."""
    try:
        yield from csv_records.split(file, header.delimiter, line or header.line)
    except TooLong as error:
        raise Unreadable(f"line {error.line}: a quote that is opened there never closes") from None


def _records(file: BinaryIO, header: _Header, line: int | None = None) -> Iterator[Raw]:
    return (raw for raw in _split(file, header, line) if not is_blank(raw.data))


def _type(values: Sequence[str]) -> str:
    filled = [value for value in values if value.strip()]
    if not filled:
        return "null"
    if all(_is(int, value) for value in filled):
        return "int64"
    return "double" if all(_is(float, value) for value in filled) else "string"


def _is(number: Callable[[str], float], text: str) -> bool:
    try:
        number(text)
    except ValueError:
        return False
    return True

"""Records of CSV: where each begins and ends in bytes, and what one holds.

RFC 4180, read as Python's `csv` reads it: a quote opens a field only where the field begins,
and is doubled inside it; a newline inside quotes belongs to the record. What lies in quotes is
told from what does not at the speed of a disk; where a quote stands elsewhere, and could be
taken for either, `csv` itself is asked. Pure: knows lines of bytes, no files.
"""

import csv
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from typing import NamedTuple

from jobs.documents import Record
from jobs.sources.opened import LARGEST


class TooLong(Exception):
    """A record never ends, as where a quote is not closed: its first line is `line`, from 1."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


class Raw(NamedTuple):
    """One record as it stands in the file, line ends included."""

    line: int
    """The number of its first line, from 1."""
    data: bytes
    lines: int


def is_blank(data: bytes) -> bool:
    """Whether it is a line without anything on it, which is no record."""
    return data in (b"\n", b"\r\n", b"\r")


def split(lines: Iterable[bytes], delimiter: str, first: int = 1) -> Iterator[Raw]:
    """Records in order, blank lines among them. Lines hold their ends; `first` is the number of
    the first one. Raises TooLong."""
    remaining = iter(lines)
    number, separator = first, delimiter.encode()
    for line in remaining:
        if b'"' not in line or _open_after(line, separator, opened=False) is False:
            yield Raw(number, line, 1)
            number += 1
            continue
        record = _quoted(line, remaining, separator, number)
        yield record
        number += record.lines


def fields(raw: Raw, delimiter: str) -> list[str] | Record:
    """Its fields, or an error in the place of one. A field's own newlines are kept."""
    where = f"line {raw.line}"
    try:
        text = raw.data.decode()
    except UnicodeDecodeError as error:
        return Record(where, error=("invalid_utf8", f"not UTF-8 ({error.reason})"))
    csv.field_size_limit(LARGEST)  # of the whole process, and no more than a guard here
    lines = iter([text, ""])
    try:
        found = next(csv.reader(lines, delimiter=delimiter))
    except csv.Error as error:
        reason = str(error).partition(" - ")[0]  # behind it, advice to programmers
        return Record(where, error=("invalid_csv", f"not CSV ({reason})"))
    if next(lines, None) is None:
        return Record(where, error=("invalid_csv", "a quote that is opened is never closed"))
    return found


def record(raw: Raw, header: list[str], delimiter: str) -> Record:
    """As a mapping with the header's names, or why it is none."""
    found = fields(raw, delimiter)
    if isinstance(found, Record):
        return found
    where = f"line {raw.line}"
    if len(found) != len(header):
        message = f"{len(found)} fields, where the header has {len(header)}"
        return Record(where, error=("invalid_csv", message))
    return Record(where, dict(zip(header, found, strict=True)))


def _quoted(line: bytes, remaining: Iterator[bytes], separator: bytes, number: int) -> Raw:
    """The record that `line`, in which there are quotes, begins; takes its other lines."""
    taken, size = [line], len(line)
    opened = _open_after(line, separator, opened=False)
    while opened:
        if (line := next(remaining, b"")) == b"":
            break  # never closed
        taken.append(line)
        size += len(line)
        if size > LARGEST:
            raise TooLong(number)
        if b'"' in line:
            opened = _open_after(line, separator, opened=True)
    if opened is None:
        return _by_csv(taken, remaining, separator, number)
    return Raw(number, b"".join(taken), len(taken))


def _open_after(line: bytes, separator: bytes, *, opened: bool) -> bool | None:
    """Whether a quoted field goes on behind the line. None where a quote stands neither at the
    beginning of a field nor inside a quoted one: what it means depends on all before it."""
    parts = line.split(b'"')
    # Every other part lies outside of quotes; each but the last is followed by one that opens.
    # An empty one lies between the two quotes that stand for one.
    outside = parts[opened::2]
    ends_open = bool((len(parts) - 1) % 2) != opened
    opening = outside if ends_open else outside[:-1]
    for part in opening:  # no generator: these few lines see every byte of a large file
        if part and not part.endswith(separator):
            return None
    return ends_open


def _by_csv(taken: list[bytes], remaining: Iterator[bytes], separator: bytes, number: int) -> Raw:
    """Raises TooLong."""
    kept: list[bytes] = []

    def lines() -> Iterator[str]:
        size = 0
        for line in chain(taken, remaining):
            kept.append(line)
            size += len(line)
            if size > LARGEST:
                raise TooLong(number)
            yield line.decode("latin-1")  # byte for byte

    csv.field_size_limit(LARGEST)
    with suppress(csv.Error):  # which is told where the record is read
        next(csv.reader(lines(), delimiter=separator.decode()))
    return Raw(number, b"".join(kept), len(kept))

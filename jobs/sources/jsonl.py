"""JSON lines: an object a line. Blank lines are no documents, and lines that can not be read are.

A shard's position is where it begins and ends in bytes, and the number of its first line,
from 1.
"""

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from jobs import columns
from jobs.documents import Record, record_of_line
from jobs.sources.cuts import Cuts
from jobs.sources.opened import IS_UTF_16, UTF_16, Described, Opened, Unreadable, changed

KIND = "jsonl"
ENDINGS = (".jsonl", ".ndjson", ".json")


def describe(opened: Opened) -> Described:
    opened.file.seek(0)
    if opened.file.read(2) in UTF_16:
        raise Unreadable(IS_UTF_16)
    opened.file.seek(0)
    filled = (line for line in opened.file if not line.isspace())
    records = (record_of_line(line) for line in filled)
    return Described(columns.of_lines(columns.sample(records)))


def plan(opened: Opened, cuts: Cuts) -> Iterator[tuple[int, dict[str, Any]]]:
    """Cut the file at line ends, in one pass."""
    opened.file.seek(0)
    offset, lines = _left_out(opened.file, cuts)
    begin, first, documents, size = offset, lines + 1, 0, cuts.size()
    for number, line in enumerate(opened.file, first):
        offset += len(line)
        # Whether it is blank is seen in its first byte; to strip it would copy it.
        documents += not line.isspace()
        if documents == size:
            yield documents, {"begin": begin, "end": offset, "line": first}
            begin, first, documents, size = offset, number + 1, 0, cuts.size()
            if not size:
                return
    if documents:
        yield documents, {"begin": begin, "end": offset, "line": first}


def _left_out(file: BinaryIO, cuts: Cuts) -> tuple[int, int]:
    """Bytes and lines before the first document that is wanted."""
    offset = lines = 0
    while cuts.skipping and (line := file.readline()):
        offset += len(line)
        lines += 1
        cuts.skip(not line.isspace())
    return offset, lines


def read(
    opened: Opened,
    position: dict[str, Any],
    documents: int,
    columns: Sequence[str] | None,  # noqa: ARG001 - a line is read whole
) -> list[Record]:
    """Raises JobError where the file does not hold so many there."""
    opened.file.seek(position["begin"])
    block = opened.file.read(position["end"] - position["begin"])
    numbered = enumerate(block.split(b"\n"), position.get("line", 0))
    lines = [(number, line) for number, line in numbered if line.strip()]
    if len(lines) != documents:
        raise changed(opened.name)
    # Shards that were cut before positions held a line's number have none to say.
    counted = "line" in position
    return [record_of_line(line, f"line {number}" if counted else None) for number, line in lines]

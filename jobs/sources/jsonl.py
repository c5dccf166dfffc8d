"""JSON lines: an object a line. Blank lines are no documents, and lines that can not be read are.

A shard's position is where it begins and ends in bytes, and the number of its first line,
from 1.
"""

from collections.abc import Iterator
from typing import Any

from jobs.documents import Record, record_of_line
from jobs.sources.files import Opened, changed

KIND = "jsonl"


def plan(opened: Opened, sizes: Iterator[int]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Cut the file at line ends, in one pass."""
    offset = begin = documents = 0
    first, size = 1, next(sizes)
    for number, line in enumerate(opened.file, 1):
        offset += len(line)
        documents += bool(line.strip())
        if documents == size:
            yield documents, {"begin": begin, "end": offset, "line": first}
            documents, begin, first, size = 0, offset, number + 1, next(sizes)
    if documents:
        yield documents, {"begin": begin, "end": offset, "line": first}


def read(opened: Opened, position: dict[str, Any], documents: int) -> list[Record]:
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

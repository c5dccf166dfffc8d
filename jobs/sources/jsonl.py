"""A file of JSON lines, read where it lies; SQL holds byte ranges, never its text.

Blank lines are no documents. A file that is not the one that was submitted is
found out before each read, by its size, modification time and a hash of both ends.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from jobs.documents import Columns, Document, from_line
from jobs.errors import JobError, NotFound
from jobs.job import Extent, NewShard

KIND = "jsonl"

# Bytes of each end that are hashed: enough to see a rewritten file, cheap on a huge one.
_END = 64 * 1024


def describe(path: Path, columns: Columns) -> dict[str, Any]:
    """Raises NotFound where there is no file to read."""
    path = path.expanduser().absolute()
    try:
        with path.open("rb") as file:
            return {
                "kind": KIND,
                "path": str(path),
                "columns": asdict(columns),
                **_fingerprint(file),
            }
    except OSError as error:
        raise NotFound(
            f"{path}: {error.strerror}; name a readable JSONL file, or - for standard input"
        ) from None


def plan(source: dict[str, Any], shard_size: int) -> Iterator[NewShard]:
    """Cut the file at line ends into shards of `shard_size` documents, in one pass."""
    with Path(source["path"]).open("rb") as file:
        start = index = offset = begin = 0
        for line in file:
            offset += len(line)
            index += bool(line.strip())
            if index - start == shard_size:
                yield NewShard(start, index, {"begin": begin, "end": offset})
                start, begin = index, offset
        if index > start:
            yield NewShard(start, index, {"begin": begin, "end": offset})


def check(source: dict[str, Any]) -> None:
    with _opened(source):
        pass


def read(extent: Extent) -> list[Document]:
    position = extent.position or {}
    columns = Columns(**extent.source["columns"])
    with _opened(extent.source) as file:
        file.seek(position["begin"])
        block = file.read(position["end"] - position["begin"])
    lines = [line for line in block.split(b"\n") if line.strip()]
    if len(lines) != extent.stop - extent.start:
        raise _changed(extent.source["path"])
    return [from_line(index, line, columns) for index, line in enumerate(lines, extent.start)]


def _opened(source: dict[str, Any]) -> BinaryIO:
    """The file, open, and seen to be the one that was submitted."""
    path = source["path"]
    try:
        file = Path(path).open("rb")  # noqa: SIM115 - the caller closes it
    except OSError as error:
        message = f"{path}: {error.strerror}; the file must be readable on every worker"
        raise JobError("source_unreadable", message) from None
    if any(source[name] != value for name, value in _fingerprint(file).items()):
        file.close()
        raise _changed(path)
    return file


def _fingerprint(file: BinaryIO) -> dict[str, Any]:
    status = os.fstat(file.fileno())
    digest = hashlib.sha256(file.read(_END))
    if status.st_size > _END:
        file.seek(max(_END, status.st_size - _END))
        digest.update(file.read(_END))
    file.seek(0)
    return {
        "size": status.st_size,
        "modified_ns": status.st_mtime_ns,
        "ends_sha256": digest.hexdigest(),
    }


def _changed(path: str) -> JobError:
    return JobError("source_changed", f"{path} changed after it was submitted; submit it again")

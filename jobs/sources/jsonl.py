"""A file of JSON lines, read where it lies; SQL holds byte ranges, never its text.

Blank lines are no documents. A file that is not the one that was submitted is
found out before each read, by its size, modification time and a hash of both ends.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from jobs.allowed_sources import Allowed
from jobs.documents import Columns, Document, from_line, storable
from jobs.errors import JobError, NotAllowed, NotFound, TransientError, UsageError
from jobs.job import Extent, NewShard

KIND = "jsonl"

# Bytes of each end that are hashed: enough to see a rewritten file, cheap on a huge one.
_END = 64 * 1024

# What waiting does not mend.
_LASTING = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)


def describe(path: Path, columns: Columns, allowed: Allowed) -> dict[str, Any]:
    """Raises NotAllowed, NotFound where there is no file to read, UsageError for a path that
    can not be read again where it lies, such as a pipe."""
    path = path.expanduser().absolute()
    if storable(str(path)) != str(path):
        raise UsageError(f"{storable(str(path))}: its name is not UTF-8; rename it, or write -")
    with _submitted(path, allowed) as file:
        return {
            "kind": KIND,
            "path": str(path),
            "columns": asdict(columns),
            **_fingerprint(file),
        }


def plan(source: dict[str, Any], sizes: Iterator[int], allowed: Allowed) -> Iterator[NewShard]:
    """Cut the file at line ends into shards of so many documents, in one pass.

    A shard's position is where it begins and ends in bytes, and the number of its first
    line, from 1. Raises NotAllowed, and NotFound where the file can not be read.
    """
    with _submitted(Path(source["path"]), allowed) as file:
        start = index = offset = begin = 0
        first, size = 1, next(sizes)
        for number, line in enumerate(file, 1):
            offset += len(line)
            index += bool(line.strip())
            if index - start == size:
                yield NewShard(start, index, {"begin": begin, "end": offset, "line": first})
                start, begin, first, size = index, offset, number + 1, next(sizes)
        if index > start:
            yield NewShard(start, index, {"begin": begin, "end": offset, "line": first})


def check(source: dict[str, Any], allowed: Allowed) -> None:
    """Raises JobError, and TransientError for trouble that may pass."""
    with _opened(source, allowed):
        pass


def read(extent: Extent, allowed: Allowed) -> list[Document]:
    """Raises JobError, and TransientError for trouble that may pass."""
    position = extent.position or {}
    columns = Columns(**extent.source["columns"])
    with _opened(extent.source, allowed) as file:
        file.seek(position["begin"])
        block = file.read(position["end"] - position["begin"])
    numbered = enumerate(block.split(b"\n"), position.get("line", 0))
    lines = [(number, line) for number, line in numbered if line.strip()]
    if len(lines) != extent.stop - extent.start:
        raise _changed(extent.source["path"])
    # Shards that were cut before positions held a line's number have none to say.
    counted = "line" in position
    return [
        from_line(index, line, columns, f"line {number}" if counted else None)
        for index, (number, line) in enumerate(lines, extent.start)
    ]


@contextmanager
def _submitted(path: Path, allowed: Allowed) -> Iterator[BinaryIO]:
    """The file, open, on the machine that submits it."""
    try:
        with _allowed(path, allowed) as file:
            if not _is_file(file):
                raise UsageError(
                    f"{path}: not a file that workers can read; write - for a pipe, "
                    "as in: zcat FILE | gistmill submit -"
                )
            yield file
    except OSError as error:
        how = "name a readable JSONL file, or - for standard input"
        raise NotFound(f"{path}: {error.strerror}; {how}") from None


@contextmanager
def _opened(source: dict[str, Any], allowed: Allowed) -> Iterator[BinaryIO]:
    """The file, open, and seen to be the one that was submitted."""
    path = source["path"]
    try:
        with _allowed(Path(path), allowed) as file:
            if not _is_file(file):
                raise JobError("source_unreadable", f"{path}: not a file")
            if any(source[name] != value for name, value in _fingerprint(file).items()):
                raise _changed(path)
            yield file
    except NotAllowed as error:
        raise JobError("source_not_allowed", f"{error} on the worker") from None
    except _LASTING as error:
        message = f"{path}: {error.strerror}; the file must be readable on every worker"
        raise JobError("source_unreadable", message) from None
    except OSError as error:  # a disk or a network file system in trouble
        raise TransientError("source_unreadable", f"{path}: {error.strerror}") from None


@contextmanager
def _allowed(path: Path, allowed: Allowed) -> Iterator[BinaryIO]:
    """The file, open, and known to lie where it may. Raises NotAllowed, OSError."""
    allowed.check_path(path)  # before any look at it: nobody learns whether it is there
    # A pipe is not waited for, nor read: what is in it can be read but once.
    with open(path, "rb", opener=lambda name, how: os.open(name, how | os.O_NONBLOCK)) as file:
        allowed.check_opened(file, path)
        yield file


def _is_file(file: BinaryIO) -> bool:
    return stat.S_ISREG(os.fstat(file.fileno()).st_mode)


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

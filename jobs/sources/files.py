"""The files that documents lie in: found, opened, and known again.

A file is stored as a JSON object, with its job or with a shard's position: where it is, and its
stamp (size, modification time and a hash of both ends). Before each read it is seen to be the
one that was submitted. Nothing here knows what is in a file.
"""

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from jobs.allowed_sources import Allowed
from jobs.documents import storable
from jobs.errors import JobError, NotAllowed, NotFound, TransientError, UsageError

File = dict[str, Any]
"""`path`, `size` in bytes, `modified_ns`, and `ends_sha256`."""

# Bytes of each end that are hashed: enough to see a rewritten file, cheap on a huge one.
_END = 64 * 1024

# What waiting does not mend.
_LASTING = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)


@dataclass
class Opened:
    """A file, open for bytes. `cursor` is for what reads it, to go on where it ended."""

    name: str
    file: BinaryIO
    cursor: Any = None


@dataclass(frozen=True)
class Found:
    """A source that was looked at on the machine that submits it, with all of its files."""

    source: dict[str, Any]
    files: list[File] = field(default_factory=list)


def find(location: str, allowed: Allowed) -> list[File]:
    """The files that a location names, in the order in which their documents are numbered.

    Raises NotAllowed, NotFound where there is no file to read, UsageError for a path that can
    not be read again where it lies, such as a pipe.
    """
    path = Path(location).expanduser().absolute()
    if storable(str(path)) != str(path):
        raise UsageError(f"{storable(str(path))}: its name is not UTF-8; rename it, or write -")
    with _submitted(path, allowed) as file:
        return [{"path": str(path), **_stamp(file)}]


@contextmanager
def submitted(file: File, allowed: Allowed) -> Iterator[Opened]:
    """It, open, on the machine that submits it. Raises what `find` raises."""
    with _submitted(Path(file["path"]), allowed) as opened:
        yield Opened(file["path"], opened)


class Files:
    """Opens the files of jobs, on the machine that is to read them."""

    def __init__(self, allowed: Allowed) -> None:
        self._allowed = allowed

    @contextmanager
    def opened(self, file: Mapping[str, Any]) -> Iterator[Opened]:
        """Open, and seen to be the one that was submitted.

        Raises JobError, and TransientError for trouble that may pass.
        """
        path = file["path"]
        try:
            with _allowed(Path(path), self._allowed) as opened:
                if not _is_file(opened):
                    raise JobError("source_unreadable", f"{path}: not a file")
                if any(file[name] != value for name, value in _stamp(opened).items()):
                    raise changed(path)
                yield Opened(path, opened)
        except NotAllowed as error:
            raise JobError("source_not_allowed", f"{error} on the worker") from None
        except _LASTING as error:
            message = f"{path}: {error.strerror}; the file must be readable on every worker"
            raise JobError("source_unreadable", message) from None
        except OSError as error:  # a disk or a network file system in trouble
            raise TransientError("source_unreadable", f"{path}: {error.strerror}") from None

    def close(self) -> None:
        """Let go of what is kept open."""


def changed(name: str) -> JobError:
    return JobError("source_changed", f"{name} changed after it was submitted; submit it again")


@contextmanager
def _submitted(path: Path, allowed: Allowed) -> Iterator[BinaryIO]:
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
def _allowed(path: Path, allowed: Allowed) -> Iterator[BinaryIO]:
    """The file, open, and known to lie where it may. Raises NotAllowed, OSError."""
    allowed.check_path(path)  # before any look at it: nobody learns whether it is there
    # A pipe is not waited for, nor read: what is in it can be read but once.
    with open(path, "rb", opener=lambda name, how: os.open(name, how | os.O_NONBLOCK)) as file:
        allowed.check_opened(file, path)
        yield file


def _is_file(file: BinaryIO) -> bool:
    return stat.S_ISREG(os.fstat(file.fileno()).st_mode)


def _stamp(file: BinaryIO) -> dict[str, Any]:
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

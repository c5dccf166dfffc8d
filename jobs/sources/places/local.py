"""Files on this machine: a path, a folder, or a pattern of paths.

The stamp is size, modification time and a hash of both ends. Workers must see the same files
under the same paths.
"""

import glob
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Any, BinaryIO, NoReturn
from urllib.parse import unquote

from jobs.allowed_sources import Allowed
from jobs.documents import storable
from jobs.errors import JobError, NotFound, TransientError, UsageError
from jobs.sources import saved
from jobs.sources.asked import Asked
from jobs.sources.located import File, Located

KEY = "path"

# Bytes of each end that are hashed: enough to see a rewritten file, cheap on a huge one.
_END = 64 * 1024

# Read at once: lines come at the speed of a disk.
_BUFFER = 256 * 1024

# What waiting does not mend.
_LASTING = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)

# Names in a folder that are not of its data: hidden ones, and marks such as _SUCCESS.
_LEFT_OUT = (".", "_")


def find(location: str, asked: Asked, allowed: Allowed) -> Located:
    path = Path(_of_url(location) if is_here(location) else location).expanduser().absolute()
    _check_name(path)
    with submitting({KEY: str(path)}):
        return _found(path, asked, allowed)


def _found(path: Path, asked: Asked, allowed: Allowed) -> Located:
    if glob.has_magic(str(path)) and not _is_there(path, allowed):
        return Located(_matching(path, allowed), pattern=str(path))
    allowed.check_path(path)  # before any look at it: nobody learns whether it is there
    if saved_files := saved.find(path, asked.split, allowed):
        facts = {"split": asked.split} if asked.split else {}
        found = _files([str(each) for each in saved_files])
        return Located(found, pattern=str(path), kind="arrow", facts=facts)
    if asked.split is not None:
        raise UsageError(f"{path}: --split is for datasets; this is none that save_to_disk wrote")
    if path.is_dir():
        return Located(_within(path), pattern=str(path))
    return Located([{KEY: str(path)}])


def is_here(location: str) -> bool:
    """Whether it is a URL of a file here."""
    return location.lower().startswith("file://")


def _of_url(location: str) -> str:
    """The path of such a URL: all of it, as a ? is of a pattern, and no query."""
    host, _, path = location[len("file://") :].partition("/")
    if host.lower() not in ("", "localhost") or not path:
        raise UsageError(f"{location}: write file:///PATH, with three slashes, or the path alone")
    return unquote(f"/{path}")


def name(file: Mapping[str, Any]) -> str:
    return str(file[KEY])


def open_file(file: Mapping[str, Any], allowed: Allowed) -> tuple[BinaryIO, dict[str, Any]]:
    path = Path(file[KEY])
    allowed.check_path(path)  # before any look at it: nobody learns whether it is there
    with ExitStack() as failing:
        # A pipe is not waited for, nor read: what is in it can be read but once.
        opened = failing.enter_context(
            open(path, "rb", _BUFFER, opener=lambda name, how: os.open(name, how | os.O_NONBLOCK))
        )
        allowed.check_opened(opened, path)
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            raise _NoFile
        stamp = _stamp(opened)
        failing.pop_all()
        return opened, stamp


class _NoFile(Exception):
    """It is there, and can not be read again and again."""


@contextmanager
def submitting(file: Mapping[str, Any]) -> Iterator[None]:
    try:
        yield
    except _NoFile:
        raise UsageError(
            f"{file[KEY]}: not a file that workers can read; write - for a pipe, "
            "as in: zcat FILE | gistmill submit -"
        ) from None
    except OSError as error:
        how = "name a readable file, or - for standard input"
        raise NotFound(f"{file[KEY]}: {error.strerror}; {how}") from None


@contextmanager
def working(file: Mapping[str, Any]) -> Iterator[None]:
    try:
        yield
    except _NoFile:
        raise JobError("source_unreadable", f"{file[KEY]}: not a file") from None
    except _LASTING as error:
        message = f"{file[KEY]}: {error.strerror}; the file must be readable on every worker"
        raise JobError("source_unreadable", message) from None
    except OSError as error:  # a disk or a network file system in trouble
        raise TransientError("source_unreadable", f"{file[KEY]}: {error.strerror}") from None


def _check_name(path: Path) -> None:
    if storable(str(path)) != str(path):
        raise UsageError(f"{storable(str(path))}: its name is not UTF-8; rename it, or write -")


def _is_there(path: Path, allowed: Allowed) -> bool:
    """Whether a file has the name of a pattern."""
    allowed.check_path(path)
    return path.exists()


def _matching(path: Path, allowed: Allowed) -> list[File]:
    plain = Path(*takewhile(lambda part: not glob.has_magic(part), path.parts))
    allowed.check_path(plain)
    if ".." in path.parts[len(plain.parts) :]:
        raise UsageError(f"{path}: write no .. after a wildcard")
    below = str(path.relative_to(plain))
    # Not pathlib's, which takes hidden files too.
    names = glob.iglob(below, root_dir=plain, recursive=True)  # noqa: PTH207
    found = sorted(str(plain / each) for each in names if not (plain / each).is_dir())
    return _files(found) or _nothing(f"{path}: no file has such a name")


def _within(folder: Path) -> list[File]:
    """All files below it that are of its data."""
    found: list[str] = []
    for parent, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = [each for each in folders if not each.startswith(_LEFT_OUT)]
        found += [f"{parent}/{each}" for each in names if not each.startswith(_LEFT_OUT)]
    return _files(sorted(found)) or _nothing(f"{folder}: no file is in it")


def _files(names: Sequence[str]) -> list[File]:
    for name in names:
        _check_name(Path(name))
    return [{KEY: name} for name in names]


def _raise(error: OSError) -> NoReturn:
    """A folder that can not be read has files that would be missing from the job."""
    raise NotFound(
        f"{error.filename}: {error.strerror}; make it readable, or name others"
    ) from None


def _nothing(message: str) -> NoReturn:
    raise NotFound(message)


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

"""Uploaded files: their bytes below the setting `uploads`, a folder or a URL, and a row in SQL.

A file is there as a whole or not at all: its row is written once all of it is stored. Its name
below the root is its id and the ending by which its kind is told, nothing else of what the
uploader called it.
"""

import errno
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from jobs.allowed_sources import is_url, without_secrets
from jobs.documents import storable
from jobs.errors import NotAllowed, NotFound, Unreachable, UsageError
from jobs.store.files import FileRecord
from producer import outputs

_ENDING = re.compile(r"(\.[a-z0-9]{1,8}){1,2}$")
_LONGEST_NAME = 255
_BUFFER = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class NoRoom(NotFound):
    """The disk is full."""


def location(root: str, file_id: str, filename: str) -> str:
    """Of a new file below `root`, the setting `uploads`."""
    return f"{root.rstrip('/')}/{file_id}{_ending(filename)}"


def named(file: FileRecord) -> dict[str, str]:
    """How a job's source names it."""
    return {"id": file.id, "name": file.filename}


def clean(filename: str) -> str:
    """As it is kept and shown: the last part of a path of whatever system, without control
    characters."""
    last = re.split(r"[/\\]", storable(filename))[-1]
    return "".join(each for each in last if each.isprintable())[:_LONGEST_NAME] or "unnamed"


class InUse(NotAllowed):
    """A job that is not over reads the file."""


@contextmanager
def storing(place: str) -> Iterator[BinaryIO]:
    """Open for bytes; there as a whole once the block is over, and gone if anything is wrong.

    Raises NoRoom where the disk is full, NotFound where nothing can be written otherwise.
    """
    try:
        if not is_url(place):
            _make(Path(place).parent)
        with outputs.whole(place) as out:
            yield out
    except NotFound as error:
        if getattr(error.__cause__, "errno", None) in _FULL:
            raise NoRoom("the disk for uploads is full; nothing was kept") from error
        raise


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        how = "name another folder or URL by the setting uploads"
        raise NotFound(f"{folder}: {error.strerror}; {how}") from error


@contextmanager
def reading(file: FileRecord) -> Iterator[BinaryIO]:
    """Its bytes. Raises NotFound where they are gone."""
    import fsspec

    files, path = fsspec.core.url_to_fs(file.location)
    try:
        opened: Any = files.open(path, "rb")
    except OSError as error:
        raise _gone(file) from error
    # Those of a store read no line of at most so many bytes.
    with opened, io.BufferedReader(opened, _BUFFER) as buffered:
        yield buffered


@contextmanager
def known_by_its_id(file: FileRecord) -> Iterator[None]:
    """In it messages name the file by its id: where it lies is the server's own."""
    try:
        yield
    except (UsageError, NotFound, Unreachable) as error:
        place = without_secrets(file.location) if is_url(file.location) else file.location
        raise type(error)(str(error).replace(place, file.id)) from error


def forget(file: FileRecord) -> None:
    """Delete its bytes; that they are gone already is no error."""
    import fsspec

    files, path = fsspec.core.url_to_fs(file.location)
    try:
        files.rm_file(path)
    except FileNotFoundError:
        return


def _ending(filename: str) -> str:
    name = PurePosixPath(urlsplit(filename).path).name if is_url(filename) else filename
    found = _ENDING.search(name.lower())
    return found.group() if found else ""


def _gone(file: FileRecord) -> NotFound:
    return NotFound(f"{file.id}: its content is not there any more; upload it again")

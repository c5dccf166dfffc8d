"""Files below a folder: all of its data, or those whose paths match a pattern.

Links are followed, but never back to a folder that they lie in: its files would come again, and
again.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from jobs.allowed_sources import Allowed
from jobs.errors import NotFound

# Names in a folder that are not of its data: hidden ones, and marks such as _SUCCESS.
_LEFT_OUT = (".", "_")


def within(folder: Path, allowed: Allowed) -> list[str]:
    """All files of its data, sorted. Raises NotAllowed, and NotFound where a folder in it can not
    be read: what is in it is not left out unsaid."""
    return sorted(_within(_Folder.first(folder), allowed))


def matching(folder: Path, pattern: Sequence[str]) -> list[str]:
    """The files whose paths below the folder match, part by part, sorted, as a shell has them:
    `**` is for any folders, hidden names must be named, and what can not be read has no files."""
    return sorted({*_matching(_Folder.first(folder), pattern)})


@dataclass(frozen=True, slots=True)
class _Folder:
    path: str
    real: tuple[str, ...]
    """Where it is once links are followed, after all folders that led to it."""

    @staticmethod
    def first(path: Path) -> "_Folder":
        return _Folder(str(path).rstrip("/"), (os.path.realpath(path),))

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    def listed(self) -> tuple[list["_Folder"], list[str]]:
        """The folders in it, and the names of all else. Raises OSError."""
        folders, names = [], []
        with os.scandir(self.path or "/") as entries:
            for entry in entries:
                path = f"{self.path}/{entry.name}"
                if not os.path.isdir(path):  # noqa: PTH112 - others raise for a link to itself
                    names.append(entry.name)
                elif (real := os.path.realpath(path)) not in self.real:
                    folders.append(_Folder(path, (*self.real, real)))
        return folders, names


def _within(folder: _Folder, allowed: Allowed) -> Iterator[str]:
    allowed.check_path(Path(folder.path or "/"))
    try:
        folders, names = folder.listed()
    except OSError as error:
        how = "make it readable, or name a pattern"
        raise NotFound(f"{folder.path}: {error.strerror}; {how}") from None
    yield from (f"{folder.path}/{name}" for name in names if not name.startswith(_LEFT_OUT))
    for each in folders:
        if not each.name.startswith(_LEFT_OUT):
            yield from _within(each, allowed)


def _matching(folder: _Folder, pattern: Sequence[str]) -> Iterator[str]:
    part, rest = pattern[0], pattern[1:]
    try:
        folders, names = folder.listed()
    except OSError:
        return
    if part == "**":
        yield from _matching(folder, rest or ["*"])
        for each in folders:
            if _fits(each.name, "*"):
                yield from _matching(each, pattern)
    elif rest:
        for each in folders:
            if _fits(each.name, part):
                yield from _matching(each, rest)
    else:
        yield from (f"{folder.path}/{name}" for name in names if _fits(name, part))


def _fits(name: str, part: str) -> bool:
    return fnmatchcase(name, part) and (part.startswith(".") or not name.startswith("."))

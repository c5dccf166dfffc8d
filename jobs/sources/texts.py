"""Text files, a document each: a folder of them, or a pattern of names.

The text is the file; its id is its name below the folder, without its endings. A shard's position
is the list of its files with their stamps, column by column (`path` or `url`, `size`, ...), the
names without the folders that they share: nothing but its own files is opened for a shard, and
one that changed is known.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from glob import has_magic
from itertools import takewhile
from os.path import commonprefix
from pathlib import PurePosixPath
from typing import Any

from jobs.columns import Schema
from jobs.documents import Record
from jobs.sources import compressed
from jobs.sources.cuts import Cuts
from jobs.sources.located import File
from jobs.sources.opened import Described, Opened

KIND = "text"
ENDINGS = (".txt", ".md")


def describe(opened: Opened) -> Described:  # noqa: ARG001 - all are alike
    return Described(Schema({"id": "string", "text": "string"}))


def plan_files(files: Iterable[File], cuts: Cuts) -> Iterator[tuple[int, dict[str, Any]]]:
    """Holds the files of one shard at a time."""
    several: list[File] = []
    size = 0
    for file in files:
        # Those that are left are not read, and yet they are of what was submitted.
        if cuts.over or (not several and cuts.skip(1)):
            continue
        size = size if several else cuts.size()
        several.append(file)
        if len(several) == size:
            yield size, _position(several)
            several = []
    if several:
        yield len(several), _position(several)


def read_files(
    opened: Callable[[File], AbstractContextManager[Opened]],
    position: Mapping[str, Any],
    documents: int,  # noqa: ARG001 - as many as there are files
) -> list[Record]:
    """Raises what `opened` raises: a file that changed ends the job."""
    columns: Mapping[str, list[Any]] = position["files"]
    key = next(iter(columns))
    records = []
    for row in zip(*columns.values(), strict=True):
        file = dict(zip(columns, row, strict=True))
        with opened({**file, key: position["below"] + file[key]}) as found:
            records.append(_record(found, str(found.stamped[key])))
    return records


def _position(files: list[File]) -> dict[str, Any]:
    columns = {key: [file[key] for file in files] for key in files[0]}
    key = next(iter(columns))  # of the place, see `located.File`
    below = _folder(commonprefix(columns[key]))  # noqa: RUF071 - cut back to a slash
    columns[key] = [name.removeprefix(below) for name in columns[key]]
    return {"below": below, "files": columns}


def _record(opened: Opened, name: str) -> Record:
    pattern = opened.source.get("pattern")
    name = _path(name)
    below = name.removeprefix(_base(name, pattern and _path(pattern)))
    opened.file.seek(0)  # a compressed one may have been kept open, read to its end
    try:
        text = opened.file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return Record(below, error=("invalid_utf8", f"not UTF-8 ({error.reason})"))
    return Record(below, {"id": _id(below), "text": text})


def _id(below: str) -> str:
    path = PurePosixPath(below)
    path = path.with_suffix("") if compressed.codec(path.name) else path
    return str(path.with_suffix(""))


def _base(name: str, pattern: str | None) -> str:
    """What goes before all names: the folder that was submitted, or of a pattern what is no
    wildcard."""
    if pattern is None:
        return _folder(name)
    if name.startswith(folder := pattern.rstrip("/") + "/"):
        return folder  # whatever is in its name
    parts = takewhile(lambda part: not has_magic(part), pattern.rstrip("/").split("/"))
    return "/".join(parts) + "/"


def _path(name: str) -> str:
    """A URL without its scheme: one may write more slashes behind it than another."""
    _, scheme, path = name.partition("://")
    return path.lstrip("/") if scheme else name


def _folder(name: str) -> str:
    return name[: name.rfind("/") + 1]

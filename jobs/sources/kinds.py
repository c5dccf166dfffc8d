"""The kinds of sources that lie in files, and how names tell the kind."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol

from jobs.documents import Record
from jobs.errors import UsageError
from jobs.sources import arrow, chat, compressed, delimited, jsonl, parquet, texts
from jobs.sources.cuts import Cuts
from jobs.sources.located import File, Located
from jobs.sources.opened import Described, Opened

if TYPE_CHECKING:
    import pyarrow as pa


class Kind(Protocol):
    """A module of `jobs.sources`."""

    @property
    def KIND(self) -> str: ...  # noqa: N802 - a constant of the module

    @property
    def ENDINGS(self) -> tuple[str, ...]:  # noqa: N802
        """Of the names of its files, in lower case."""

    def describe(self, opened: Opened) -> Described:
        """What is in the first file. Raises Unreadable."""


class ManyInAFile(Kind, Protocol):
    """Files that hold many documents each."""

    def plan(self, opened: Opened, cuts: Cuts) -> Iterator[tuple[int, dict[str, Any]]]:
        """The shards of one file in order: how many documents, and the position.

        Raises Unreadable.
        """

    def read(
        self,
        opened: Opened,
        position: dict[str, Any],
        documents: int,
        columns: Sequence[str] | None,
    ) -> list[Record]:
        """The records of a shard: at least with those of `columns` that are there; None for all.

        Raises Unreadable, and JobError (`changed`) where there are not so many.
        """


class OneInAFile(Kind, Protocol):
    """Files that are a document each."""

    def plan_files(self, files: Iterator[File], cuts: Cuts) -> Iterator[tuple[int, dict[str, Any]]]:
        """The shards in order: how many documents, and the position."""

    def read_files(
        self,
        opened: Callable[[File], AbstractContextManager[Opened]],
        position: dict[str, Any],
        documents: int,
    ) -> list[Record]:
        """The records of a shard. `opened` is for those files that the position names."""


_MANY: Mapping[str, ManyInAFile] = {
    kind.KIND: kind for kind in (jsonl, delimited, parquet, arrow, chat)
}
_ONE: Mapping[str, OneInAFile] = {kind.KIND: kind for kind in (texts,)}
_KINDS: Mapping[str, Kind] = {**_MANY, **_ONE}
_NOT_UNPACKED = (".bz2", ".xz", ".zip", ".7z", ".tar", ".tgz", ".lz4")
_STATE_TYPES: Mapping[str, Callable[[Opened], "pa.Schema"]] = {
    kind.KIND: kind.schema for kind in (parquet, arrow)
}


def many_in_a_file(kind: str) -> ManyInAFile | None:
    return _MANY.get(kind)


def one_in_a_file(kind: str) -> OneInAFile | None:
    return _ONE.get(kind)


def schema(kind: str, opened: Opened) -> "pa.Schema | None":
    """A file's columns, where those of its kind say of what types they are. Raises Unreadable."""
    stated = _STATE_TYPES.get(kind)
    return stated(opened) if stated else None


def described(kind: str, opened: Opened) -> Described:
    """What is in the first file. Raises Unreadable."""
    return _KINDS[kind].describe(opened)


def choose(location: str, located: Located, asked: str | None) -> tuple[str, Sequence[File]]:
    """The kind of a location's files, and those that are of it.

    One file that was named is JSON lines where its name tells nothing. Raises UsageError where
    several are of no kind that is known, or of more than one, and none is asked for.
    """
    if asked is not None:
        _check(asked)
    kinds = [of_name(name(file)) for file in located.files]
    if located.pattern is None:
        packed = PurePosixPath(location.lower()).suffix
        if packed in _NOT_UNPACKED and asked is None:
            how = "unpack it, or pipe it: bzcat FILE | gistmill submit -"
            raise UsageError(f"{location}: {packed} is not read, .gz and .zst are; {how}")
        return asked or located.kind or kinds[0] or jsonl.KIND, located.files
    there = sorted({kind for kind in kinds if kind is not None})
    kind = asked or located.kind
    if kind is None and len(there) == 1:
        kind = there[0]
    if kind is None:
        found = (
            f"files of several kinds: {', '.join(there)}" if there else "no file of a known kind"
        )
        raise UsageError(f"{location}: {found}; choose one with --format, or name a pattern")
    mine = [file for file, each in zip(located.files, kinds, strict=True) if each == kind]
    return kind, mine or located.files


def named_for(kind: str, name: str) -> str:
    """A name that tells the kind, of a file that is called `name`. Raises UsageError where none
    does, or there is no such kind."""
    _check(kind)
    if of_name(name) == kind:
        return name
    if not _KINDS[kind].ENDINGS:
        raise UsageError(f"{name}: format {kind!r} is told by no file's name")
    packed = PurePosixPath(name).suffix if compressed.codec(name) else ""
    return f"{name.removesuffix(packed)}{_KINDS[kind].ENDINGS[0]}{packed}"


def _check(kind: str) -> None:
    if kind not in _KINDS:
        raise UsageError(f"format {kind!r}: choose one of {', '.join(_KINDS)}")


def name(file: File) -> str:
    """Whatever the key of its place is, that is its first."""
    return str(next(iter(file.values())))


def of_name(name: str) -> str | None:
    """The kind that a file's name tells."""
    path = PurePosixPath(name.lower())
    ending = path.with_suffix("").suffix if compressed.codec(path.name) else path.suffix
    return next((kind.KIND for kind in _KINDS.values() if ending in kind.ENDINGS), None)

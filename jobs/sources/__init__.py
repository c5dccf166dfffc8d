"""Where documents come from. One file for each kind; all read a shard without what lies before it.

    inline   the documents came with the submission and lie in SQL
    jsonl    JSON lines
    csv      CSV and TSV (`delimited`)
    parquet  Parquet
    arrow    Arrow, such as what `save_to_disk` writes
    text     text files, a document each (`texts`)
    chat     lines of an OpenAI batch

All but inline ones lie in files (`kinds`), which lie somewhere (`places`). `describe` finds out
what a location holds, `plan` cuts it into shards, `Sources` reads them.

What a source is, is stored with its job as a JSON object: its `kind`, its `columns` and which
of them were `guessed`, the `pattern` that several files were found by, what its place wants to
know again, and its first file (`located.File`). A shard's position has the `file`
where it is another. Whether a file may be read is checked when it is submitted and again at
each read: a row may have come another way.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

from jobs import columns
from jobs.allowed_sources import Allowed
from jobs.database import Database
from jobs.documents import Columns, Document, Record, from_record
from jobs.errors import JobError
from jobs.job import Extent, NewShard
from jobs.sources import files, inline, kinds, places
from jobs.sources.asked import Asked
from jobs.sources.cuts import Cuts
from jobs.sources.files import Files
from jobs.sources.kinds import ManyInAFile
from jobs.sources.located import File, Rows
from jobs.sources.opened import Described

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Found:
    """A source that was looked at on the machine that submits it."""

    source: dict[str, Any]
    """To be stored with the job."""
    files: Iterator[File]
    """All of them with their stamps, in order; they are opened one after the other."""
    rows: Rows


def describe(location: str, asked: Asked, allowed: Allowed) -> Found:
    """What a location holds.

    Raises NotAllowed, NotFound where there is nothing to read, Unreachable, and UsageError
    where it can not be read again where it lies, such as a pipe, or its columns or its kind
    can not be told.
    """
    located = places.of_location(location, asked, allowed).find(location, asked, allowed)
    kind, found = kinds.choose(location, located, asked.format)
    source: dict[str, Any] = {"kind": kind, **located.facts}
    if located.pattern is not None:
        source |= {"pattern": located.pattern, "files": len(found)}
    first, described, name = _looked_into(kind, found, source, allowed)
    chosen = columns.choose(described.schema, asked.columns, name)
    source |= first
    source |= {"columns": asdict(chosen.columns), "guessed": list(chosen.guessed)}
    rest = (_stamped(file, source, allowed) for file in found[1:])
    rows = located.rows(partial(_count, source, allowed))
    return Found(source, chain([first], rest), rows)


def _looked_into(
    kind: str, found: Sequence[File], source: dict[str, Any], allowed: Allowed
) -> tuple[File, Described, str]:
    """The first file with its stamp; and what is in the first that has a column, with its name:
    an empty one tells nothing of the others."""
    stamped: list[File] = []
    for file in found:
        with files.submitted(file, source, allowed) as opened:
            described = kinds.described(kind, opened)
            stamped.append(opened.stamped)
        if described.schema.types or described.schema.unreadable:
            break
    return stamped[0], described, opened.name


def _count(source: dict[str, Any], allowed: Allowed, several: Sequence[File]) -> int:
    found = Found(source, iter(several), (0, None))
    [*shards] = plan(found, repeat(sys.maxsize), allowed)
    return shards[-1].stop if shards else 0


def plan(found: Found, sizes: Iterator[int], allowed: Allowed) -> Iterator[NewShard]:
    """Cut what was found into shards of so many documents, in one pass over its files.

    A shard never holds documents of two files. Raises what `describe` raises.
    """
    cuts = Cuts(sizes, found.rows)
    kind = found.source["kind"]
    if one := kinds.one_in_a_file(kind):
        cut = one.plan_files(found.files, cuts)
    else:
        cut = _cut(_many(kind), found, cuts, allowed)
    start = 0
    for documents, position in cut:
        yield NewShard(start, start + documents, position)
        start += documents
        cuts.made(documents)


def _cut(
    kind: ManyInAFile, found: Found, cuts: Cuts, allowed: Allowed
) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, file in enumerate(found.files):
        if cuts.over:
            # Those that are left are not opened, and yet they are of what was submitted.
            continue
        # The first is known from the source itself.
        where = {"file": file} if number else {}
        with files.submitted(file, found.source, allowed) as opened:
            for documents, position in kind.plan(opened, cuts):
                yield documents, {**position, **where}


class Sources:
    """Reads the documents of jobs, on the machine that it is on."""

    def __init__(self, database: Database, allowed: Allowed) -> None:
        self._database = database
        self._files = Files(allowed)
        self._stated: tuple[dict[str, Any], File, pa.Schema | None] | None = None
        """A source, the file of it that was asked for its columns last, and these."""

    def check(self, source: dict[str, Any]) -> None:
        """Raises JobError where the source may not or can not be read or is not what it was,
        TransientError where that may pass."""
        if source["kind"] != inline.KIND:
            if kinds.one_in_a_file(source["kind"]) is None:
                _many(source["kind"])
            with self._files.opened(source, {}) as opened:
                opened.file.read(1)  # some places fetch a file when it is read

    def read(self, extent: Extent) -> list[Document]:
        """Its documents in order of index, unusable ones among them.

        Raises JobError where the source may not or can not be read or is not what it was,
        TransientError where that may pass.
        """
        if extent.source["kind"] == inline.KIND:
            return inline.read(self._database, extent)
        wanted = Columns(**extent.source["columns"])
        return [
            from_record(index, record, wanted)
            for index, record in enumerate(self._records(extent, _names(wanted)), extent.start)
        ]

    def rows(self, extent: Extent) -> list[dict[str, Any]]:
        """All columns of the same documents, in the same order; none of one that can not be read.

        Raises what `read` raises.
        """
        if extent.source["kind"] == inline.KIND:
            return inline.rows(self._database, extent)
        return [dict(record.value) for record in self._records(extent, None)]

    def schema(self, extent: Extent) -> "pa.Schema | None":
        """The columns of the file that it lies in, with their types; None where that does not
        state them, and only its rows tell. Raises what `read` raises."""
        source = extent.source
        if kinds.many_in_a_file(source["kind"]) is None:
            return None
        file = (extent.position or {}).get("file", {})
        if self._stated is None or self._stated[:2] != (source, file):
            with self._files.opened(source, file) as opened:
                self._stated = source, file, kinds.schema(source["kind"], opened)
        return self._stated[2]

    def close(self) -> None:
        self._files.close()

    def _records(self, extent: Extent, names: list[str] | None) -> list[Record]:
        source, documents = extent.source, extent.stop - extent.start
        position = dict(extent.position or {})
        if one := kinds.one_in_a_file(source["kind"]):
            return one.read_files(partial(self._files.opened, source), position, documents)
        kind = _many(source["kind"])
        with self._files.opened(source, position.pop("file", {})) as opened:
            return kind.read(opened, position, documents, names)


def _many(kind: str) -> ManyInAFile:
    """Raises JobError for a kind of a later version."""
    if found := kinds.many_in_a_file(kind):
        return found
    raise JobError("source_unreadable", f"this worker does not know sources of kind {kind!r}")


def _names(wanted: Columns) -> list[str]:
    return [name for name in (wanted.text, wanted.id, wanted.reference) if name is not None]


def _stamped(file: File, source: dict[str, Any], allowed: Allowed) -> File:
    if "size" in file:
        return file
    with files.submitted(file, source, allowed) as opened:
        return opened.stamped

"""Where documents come from. One file for each kind; all read a shard without what lies before it.

    inline   the documents came with the submission and lie in SQL
    jsonl    files of JSON lines, read where they lie

`describe` finds out what a location holds, `plan` cuts it into shards, `Sources` reads them.
What a source is, is stored with its job as a JSON object: its `kind`, its `columns`, and how the
first of its files is known again (`jobs.sources.files`). Whether it may be read is checked when
it is submitted and again at each read: a row may have come another way.
"""

from collections.abc import Iterator
from dataclasses import asdict
from types import ModuleType
from typing import Any

from jobs.allowed_sources import Allowed
from jobs.database import Database
from jobs.documents import Columns, Document, Record, from_record
from jobs.errors import JobError
from jobs.job import Extent, NewShard
from jobs.sources import files, inline, jsonl
from jobs.sources.files import Files, Found

_IN_FILES: dict[str, ModuleType] = {module.KIND: module for module in (jsonl,)}
"""By kind. Each has `plan(opened, sizes)`, the shards of one file as (documents, position), and
`read(opened, position, documents)`, the records of one shard. `opened` is a `files.Opened`."""


def describe(location: str, columns: Columns, allowed: Allowed) -> Found:
    """What a location holds. Raises NotAllowed, NotFound where there is nothing to read,
    UsageError where it can not be read again where it lies, such as a pipe."""
    found = files.find(location, allowed)
    source = {"kind": jsonl.KIND, "columns": asdict(columns), **found[0]}
    return Found(source, found)


def plan(found: Found, sizes: Iterator[int], allowed: Allowed) -> Iterator[NewShard]:
    """Cut what was found into shards of so many documents, in one pass over its files.

    A shard never holds documents of two files. Raises NotAllowed, and NotFound where a file can
    not be read.
    """
    module = _IN_FILES[found.source["kind"]]
    start = 0
    for number, file in enumerate(found.files):
        with files.submitted(file, allowed) as opened:
            for documents, position in module.plan(opened, sizes):
                # The first is known from the source itself.
                where = {"file": file} if number else {}
                yield NewShard(start, start + documents, {**position, **where})
                start += documents


class Sources:
    """Reads the documents of jobs, on the machine that it is on."""

    def __init__(self, database: Database, allowed: Allowed) -> None:
        self._database = database
        self._files = Files(allowed)

    def check(self, source: dict[str, Any]) -> None:
        """Raises JobError where the source may not or can not be read or is not what it was,
        TransientError where that may pass."""
        if source["kind"] != inline.KIND:
            _module(source)
            with self._files.opened(source):
                pass

    def read(self, extent: Extent) -> list[Document]:
        """Its documents in order of index, unusable ones among them.

        Raises JobError where the source may not or can not be read or is not what it was,
        TransientError where that may pass.
        """
        if extent.source["kind"] == inline.KIND:
            return inline.read(self._database, extent)
        columns = Columns(**extent.source["columns"])
        return [
            from_record(index, record, columns)
            for index, record in enumerate(self._records(extent), extent.start)
        ]

    def rows(self, extent: Extent) -> list[dict[str, Any]]:
        """All columns of the same documents, in the same order; none of one that can not be read.

        Raises what `read` raises.
        """
        if extent.source["kind"] == inline.KIND:
            return inline.rows(self._database, extent)
        return [dict(record.value) for record in self._records(extent)]

    def close(self) -> None:
        self._files.close()

    def _records(self, extent: Extent) -> list[Record]:
        module = _module(extent.source)
        position = dict(extent.position or {})
        file = position.pop("file", extent.source)
        with self._files.opened(file) as opened:
            records: list[Record] = module.read(opened, position, extent.stop - extent.start)
        return records


def _module(source: dict[str, Any]) -> ModuleType:
    """Raises JobError for a kind of a later version."""
    kind = source["kind"]
    if kind not in _IN_FILES:
        raise JobError("source_unreadable", f"this worker does not know sources of kind {kind!r}")
    return _IN_FILES[kind]

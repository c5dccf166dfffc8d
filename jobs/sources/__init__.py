"""Where documents come from. One file for each kind; all read a shard without what lies before it.

    inline   the documents came with the submission and lie in SQL
    jsonl    a file of JSON lines, read where it lies

A source is stored with its job as a JSON object with its `kind`. Whether it may be read
is checked when it is submitted and again at each read: a row may have come another way.
"""

from typing import Any

from jobs.allowed_sources import Allowed
from jobs.database import Database
from jobs.documents import Document
from jobs.errors import JobError
from jobs.job import Extent
from jobs.sources import inline, jsonl


def check(source: dict[str, Any], allowed: Allowed) -> None:
    """Raises JobError where the source may not or can not be read or is not what it was,
    TransientError where that may pass."""
    if source["kind"] == jsonl.KIND:
        jsonl.check(source, allowed)


def read(database: Database, extent: Extent, allowed: Allowed) -> list[Document]:
    """Its documents in order of index, unusable ones among them.

    Raises JobError where the source may not or can not be read or is not what it was,
    TransientError where that may pass.
    """
    kind = extent.source["kind"]
    if kind == inline.KIND:
        return inline.read(database, extent)
    if kind == jsonl.KIND:
        return jsonl.read(extent, allowed)
    raise JobError("source_unreadable", f"this worker does not know sources of kind {kind!r}")

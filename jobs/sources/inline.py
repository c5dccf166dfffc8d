"""Documents that came with the submission: standard input, or an iterable from Python."""

from typing import Any

from jobs.database import Database
from jobs.documents import Document
from jobs.job import Extent
from jobs.store import documents

KIND = "inline"


def describe() -> dict[str, Any]:
    return {"kind": KIND}


def read(database: Database, extent: Extent) -> list[Document]:
    with database.transaction() as tx:
        return documents.read(tx, extent.job_id, extent.start, extent.stop)


def rows(database: Database, extent: Extent) -> list[dict[str, Any]]:
    """What was kept of them: `text`, `id` and `reference`."""
    kept = ("text", "id", "reference")
    found = read(database, extent)
    return [{name: getattr(document, name) for name in kept} for document in found]

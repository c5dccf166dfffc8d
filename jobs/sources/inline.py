"""Documents that came with the submission: standard input, or an iterable from Python."""

from typing import Any

from jobs.database import Database
from jobs.documents import Document
from jobs.job import Shard
from jobs.store import documents

KIND = "inline"


def describe() -> dict[str, Any]:
    return {"kind": KIND}


def read(database: Database, shard: Shard) -> list[Document]:
    with database.transaction() as tx:
        return documents.read(tx, shard.job_id, shard.start, shard.stop)

"""A source without services: found, planned and read as a submission and a worker do it."""

from collections.abc import Sequence
from itertools import repeat
from pathlib import Path
from typing import Any

from jobs import sources
from jobs.allowed_sources import Allowed
from jobs.database import Database
from jobs.documents import Columns, Document
from jobs.job import NewShard, Sample
from jobs.sources import Sources
from jobs.sources.files import Found

ANYWHERE = Allowed(None)


def found(path: Path | str, columns: Columns, allowed: Allowed = ANYWHERE) -> Found:
    return sources.describe(str(path), columns, allowed)


def planned(source: Found, size: int, allowed: Allowed = ANYWHERE) -> list[NewShard]:
    return list(sources.plan(source, repeat(size), allowed))


def worker(allowed: Allowed = ANYWHERE) -> Sources:
    """For files: it has no database that answers."""
    return Sources(Database("postgresql://nobody@127.0.0.1:1/none"), allowed)


def read(source: dict[str, Any], shards: Sequence[NewShard]) -> list[Document]:
    opened = worker()
    return [document for shard in shards for document in opened.read(extent(source, shard))]


def extent(source: dict[str, Any], shard: NewShard) -> Sample:
    return Sample("job_aaaaaaaaaaaa", shard.start, shard.stop, shard.position, source)

"""A source without services: found, planned and read as a submission and a worker do it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path
from typing import Any

from jobs import columns, sources
from jobs.allowed_sources import Allowed
from jobs.database import Database
from jobs.documents import Columns, Document
from jobs.job import NewShard, Sample
from jobs.sources import Found, Sources
from jobs.sources.asked import Asked

ANYWHERE = Allowed(None)


def found(
    path: Path | str, wanted: Columns, allowed: Allowed = ANYWHERE, *, kind: str | None = None
) -> Found:
    asked = columns.Asked(wanted.text, wanted.id or "", wanted.reference or "")
    return sources.describe(str(path), Asked(asked, kind), allowed)


def planned(source: Found, size: int, allowed: Allowed = ANYWHERE) -> list[NewShard]:
    return list(sources.plan(source, repeat(size), allowed))


def worker(allowed: Allowed = ANYWHERE) -> Sources:
    """For files: it has no database that answers, and need not be closed where it only checks."""
    return Sources(Database("postgresql://nobody@127.0.0.1:1/none"), allowed)


@contextmanager
def working(allowed: Allowed = ANYWHERE) -> Iterator[Sources]:
    """What `worker` returns, closed at the end."""
    opened = worker(allowed)
    yield opened
    opened.close()


def read(source: dict[str, Any], shards: Sequence[NewShard]) -> list[Document]:
    with working() as opened:
        return [document for shard in shards for document in opened.read(extent(source, shard))]


def extent(source: dict[str, Any], shard: NewShard) -> Sample:
    return Sample("job_aaaaaaaaaaaa", shard.start, shard.stop, shard.position, source)

"""The source of a job, read again where its results are: its shards in order, and errors that
whoever asked can mend."""

from collections.abc import Iterator
from contextlib import contextmanager

from jobs.database import Database
from jobs.errors import JobError, NotAllowed, NotFound, TransientError, Unreachable
from jobs.job import Sample
from jobs.store import queueing

_EXTENTS = 1000
"""Shards whose places are held at once."""


def extents(database: Database, job_id: str, after: int = 0) -> Iterator[Sample]:
    """The shards of a job from the document `after` on, in order of index; no transaction stays
    open."""
    while True:
        with database.transaction() as tx:
            page = queueing.extents(tx, job_id, after, _EXTENTS)
        if not page:
            return
        yield from page
        after = page[-1].stop


@contextmanager
def reading(otherwise: str) -> Iterator[None]:
    """What a worker would fail the job for, as an answer to whoever asks for its results;
    `otherwise` is what can be had without its documents.

    Raises NotFound where the source is gone or is not what it was, NotAllowed where it may not
    be read here, Unreachable where that may pass.
    """
    try:
        yield
    except TransientError as error:
        raise Unreachable(f"{error}; try again later") from error
    except JobError as error:
        kind = NotAllowed if error.code == "source_not_allowed" else NotFound
        raise kind(f"{error}; {otherwise}") from error

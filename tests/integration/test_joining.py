"""A join of a job that is under way: what is over by now, wherever it lies."""

from functools import partial
from pathlib import Path

import pytest

from jobs.allowed_sources import Allowed
from jobs.database import Database
from jobs.errors import NotAllowed
from jobs.job import Row
from jobs.sources import Sources
from jobs.sources.asked import Asked
from jobs.store import summaries
from producer.listings import listing
from producer.submit import Request, submit_source
from tests.mill import write_jsonl

ANYWHERE = Allowed(None)


@pytest.fixture
def job_id(database: Database, tmp_path: Path) -> str:
    """Of ten documents in shards of two, of which two are over."""
    path = write_jsonl(tmp_path / "given.jsonl", [{"text": f"{n}. x."} for n in range(10)])
    request = Request(model="lead-1", shard_size=2)
    made = submit_source(database, request, str(path), Asked(), ANYWHERE).job_id
    with database.transaction() as tx:
        summaries.add(tx, made, [row(3), row(8)])
    return made


def row(index: int) -> Row:
    return Row(index, None, f"{index}.", 1, 1, False, "stop", None, None, None)


def test_gaps(database: Database, job_id: str) -> None:
    with listing(database, partial(Sources, database, ANYWHERE), job_id, join=True) as found:
        assert list(found.rows()) == [
            {"text": f"{n}. x.", "summary": f"{n}.", "summary_error": None} for n in (3, 8)
        ]
        assert list(found.header()) == ["text", "summary", "summary_error"]


def test_what_may_not_be_read_here(database: Database, job_id: str) -> None:
    elsewhere = partial(Sources, database, Allowed(("/elsewhere",)))
    with (
        listing(database, elsewhere, job_id, join=True) as found,
        pytest.raises(NotAllowed, match="without --join"),
    ):
        next(found.rows())

"""Fairness between groups of jobs, in the order in which shards are leased."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from jobs.database import Database
from jobs.documents import Columns
from jobs.job import ModelKey, Row
from jobs.parameters import Effective
from jobs.store import fairness, validations
from jobs.tables import jobs
from producer.submit import Request, from_python, submit_documents
from tests import leases
from tests.mill import sentences

DAY = timedelta(days=1)
KEY = ModelKey("lead-1", "1", "lead", None)

Submit = Callable[..., str]


@pytest.fixture
def submit(database: Database) -> Submit:
    """Submits jobs of one-document shards that are in progress."""

    def submitted(user: str | None, documents: int, priority: int = 0) -> str:
        request = Request(
            model=KEY.model,
            shard_size=1,
            labels={} if user is None else {"user": user},
            fair_by=None if user is None else "user",
            priority=priority,
        )
        given = from_python(sentences(documents), Columns())
        job_id = submit_documents(database, request, given).job_id
        with database.transaction() as tx:
            validation = validations.lease(tx, job_id, "validator", 60)
            assert validation is not None
            assert validations.start(tx, validation, KEY, Effective())
        return job_id

    return submitted


def served(database: Database, tokens: int = 10) -> str:
    """Do the next shard, for so many tokens; returns its job."""
    with database.transaction() as tx:
        shard = leases.lease_next(tx, KEY, "worker", 60)
        assert shard is not None
        row = Row(shard.start, None, "A summary.", tokens, 0, False, "stop", None, None, None)
        assert leases.stored(tx, shard, [row], done=True)
        return shard.job_id


def test_who_was_served_fewer_tokens_goes_first(database: Database, submit: Submit) -> None:
    ann, bob = submit("ann", 6), submit("bob", 6)
    first = served(database, 30)
    other = bob if first == ann else ann
    assert [served(database) for _ in range(3)] == [other] * 3
    assert sorted([served(database), served(database)]) == sorted([ann, bob])


def test_two_jobs_of_a_user_are_one_group(database: Database, submit: Submit) -> None:
    anns, bobs = [submit("ann", 4), submit("ann", 4)], submit("bob", 4)
    done = [served(database) for _ in range(8)]
    assert done.count(bobs) == 4
    assert done.count(anns[0]) == 4, "and among themselves oldest first"


def test_who_comes_back_has_saved_nothing_up(database: Database, submit: Submit) -> None:
    ann = submit("ann", 8)
    assert [served(database) for _ in range(4)] == [ann] * 4
    bob = submit("bob", 8)
    assert sorted(served(database) for _ in range(4)) == sorted([ann, ann, bob, bob])


def test_a_shut_window_saves_nothing_up(database: Database, submit: Submit) -> None:
    """Nor does it let a third one in below those who work."""
    bob = submit("bob", 8)
    ann = submit("ann", 4)
    with database.transaction() as tx:
        now = datetime.now(UTC)
        tx.execute(
            update(jobs)
            .where(jobs.c.id == ann)
            .values(run_window="x", opens_at=now + DAY, closes_at=now + 2 * DAY)
        )
    assert [served(database) for _ in range(4)] == [bob] * 4
    carl = submit("carl", 2)
    assert sorted([served(database), served(database)]) == sorted([bob, carl])
    with database.transaction() as tx:
        fairness.lift_shut(tx)
        tx.execute(update(jobs).where(jobs.c.id == ann).values(opens_at=now - DAY))
    assert [served(database) for _ in range(3)].count(ann) == 1


def test_priority_comes_before_fairness(database: Database, submit: Submit) -> None:
    submit("ann", 2)
    bob = submit("bob", 2, priority=1)
    assert [served(database, 100), served(database, 100)] == [bob, bob]


def test_without_a_label_oldest_first(database: Database, submit: Submit) -> None:
    first, second = submit(None, 2), submit(None, 2)
    assert [served(database) for _ in range(4)] == [first, first, second, second]

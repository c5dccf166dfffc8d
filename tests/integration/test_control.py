"""What a verb does to a job's rows, where a random walk would seldom come by."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from jobs.database import Database
from jobs.documents import Columns
from jobs.job import ModelKey, Row
from jobs.parameters import Effective
from jobs.store import control, endings, jobs, leasing, queueing, validations
from jobs.store.control import Retried
from jobs.tables import jobs as table
from jobs.tables import shards as shard_table
from producer.forecast import eta
from producer.submit import Request, from_python, submit_documents
from tests import leases
from tests.mill import sentences

KEY = ModelKey("lead-1", "1", "lead", None)


@pytest.fixture
def job_id(database: Database) -> str:
    """Ten documents in one shard: two done, two failed, and the job goes on."""
    request = Request(model=KEY.model, max_error_rate=0.9)
    accepted = submit_documents(database, request, from_python(sentences(10), Columns()))
    with database.transaction() as tx:
        validation = validations.lease(tx, accepted.job_id, "validator", 60)
        assert validation is not None
        assert validations.start(tx, validation, KEY, Effective())
        shard = leases.lease_next(tx, KEY, "worker", 60)
        assert shard is not None
        rows = [_row(0), _row(1), _row(2, "worker_died"), _row(3, "worker_died")]
        assert leases.stored(tx, shard, rows, done=False, busy_seconds=400)
        leasing.hand_back(tx, [shard])
    return accepted.job_id


def test_a_retry_counts_what_failed_and_what_was_cut_off(database: Database, job_id: str) -> None:
    with database.transaction() as tx:
        assert control.cancel(tx, job_id)
        assert control.retry(tx, job_id, None) == Retried(failed=2, unfinished=6)
        job = jobs.get(tx, job_id)
    assert (job.status, job.completed, job.failed) == ("in_progress", 2, 0)


def test_a_forecast_forgets_what_is_done_again(database: Database, job_id: str) -> None:
    """100 seconds a document, with and without those that failed."""
    with database.transaction() as tx:
        before = eta(jobs.get(tx, job_id), 1)
        assert control.cancel(tx, job_id)
        assert control.retry(tx, job_id, None)
        after = eta(jobs.get(tx, job_id), 1)
    assert before is not None
    assert after is not None
    assert after.low / 8 == pytest.approx(before.low / 6, rel=0.01)


def test_a_resumed_job_is_not_judged_by_what_has_passed(database: Database, job_id: str) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    with database.transaction() as tx:
        tx.execute(update(table).values(max_error_rate=0.1, total=4))
        assert endings.end_failing(tx) == [job_id]
        queueing.cancel_unstarted_of_ending(tx)
        [closed] = endings.close_finished(tx)
        assert closed.code == endings.TOO_MANY_FAILURES
        tx.execute(update(table).values(deadline=yesterday))
        assert control.resume(tx, job_id)
        assert endings.end_late(tx) == endings.end_failing(tx) == []
        assert jobs.get(tx, job_id).failed == 2, "resume keeps what failed"


def test_who_is_cancelled_while_it_is_judged_stays_so(database: Database, job_id: str) -> None:
    with database.transaction() as tx:
        tx.execute(update(table).values(max_error_rate=0.1, total=4))
        assert control.cancel(tx, job_id)
        assert endings.end_failing(tx) == []
        assert not control.resume(tx, job_id)
        states = set(tx.execute(select(shard_table.c.state)).scalars())
    assert states == {"cancelled"}


def test_a_copy_that_sql_refuses_failed_and_is_not_reused(database: Database, job_id: str) -> None:
    """Nor do its tokens, which were not counted, come off the job's at a retry."""
    with database.transaction() as tx:
        before = jobs.get(tx, job_id)
        shard = leases.lease_next(tx, KEY, "worker", 60)
        assert shard is not None
        refused = replace(_row(4), id="\x00", reused=True, depth=1, spans=[(0, 1)])
        assert leases.stored(tx, shard, [refused], done=False)
        found = jobs.get(tx, job_id)
        assert (found.failed, found.completed, found.reused) == (3, 2, 0)
        leasing.hand_back(tx, [shard])
        endings.fail(tx, job_id, "some_error", "why")
        queueing.cancel_unstarted_of_ending(tx)
        endings.close_finished(tx)
        assert control.retry(tx, job_id, "unstorable") == Retried(failed=1, unfinished=5)
        assert jobs.get(tx, job_id).input_tokens == before.input_tokens


def test_the_sources_that_are_needed_are_those_of_now(database: Database, job_id: str) -> None:
    with database.transaction() as tx:
        assert jobs.patterns(tx) == set()
        tx.execute(update(table).values(source={"pattern": "*.parquet"}))
        assert jobs.patterns(tx) == {"*.parquet"}


def _row(index: int, code: str | None = None) -> Row:
    summary = None if code else "A summary."
    return Row(index, None, summary, 5, 2, False, None, code, code and "why", None)

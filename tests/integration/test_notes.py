"""Why a job waits although nothing is wrong with it, as `status` and `watch` say it."""

from jobs.database import Database
from jobs.documents import Columns
from jobs.job import ModelKey, Row
from jobs.parameters import Effective
from jobs.store import control, endings, jobs, leasing, validations
from producer.cli import output, watch
from producer.status import JobStatusView, view
from producer.submit import Request, from_python, submit_documents
from tests import leases
from tests.mill import sentences

KEY = ModelKey("lead-1", "1", "lead", None)
AWAY = ("hub_unreachable", "the hub does not answer")


def test_until_it_is_validated(database: Database) -> None:
    job_id = _put_off(database, 60)
    status = _status(database, job_id)
    assert status.note is not None
    assert (status.note["code"], status.note["message"]) == AWAY
    assert "\n  hub_unreachable: the hub does not answer; next try in " in output.line(status)
    assert "hub_unreachable, next try in " in watch.describe(status, None)
    _start(database, job_id)
    assert _status(database, job_id).note is None


def test_when_the_time_has_come(database: Database) -> None:
    status = _status(database, _put_off(database, 0))
    assert output.line(status).endswith("the hub does not answer; trying again")


def test_what_is_over_is_not_tried_again(database: Database) -> None:
    refused = _put_off(database, 0)
    with database.transaction() as tx:
        validation = validations.lease(tx, refused, "worker", 60)
        assert validation is not None
        assert validations.refuse(tx, validation, *AWAY)
    cancelled = _put_off(database, 60)
    with database.transaction() as tx:
        assert control.cancel(tx, cancelled)
    for job_id in (refused, cancelled):
        status = _status(database, job_id)
        assert status.over
        assert status.note is None


def test_until_something_is_stored(database: Database) -> None:
    job_id = _submit(database)
    _start(database, job_id)
    with database.transaction() as tx:
        shard = leases.lease_next(tx, KEY, "worker", 60)
        assert shard is not None
        assert leasing.try_later(tx, shard, 0, *AWAY)
        assert not leasing.try_later(tx, shard, 60, "late", "by who lost the lease")
        assert endings.close_finished(tx) == []
    assert "hub_unreachable: the hub does not answer" in output.line(_status(database, job_id))
    with database.transaction() as tx:
        again = leases.lease_next(tx, KEY, "worker", 60)
        assert again is not None
        row = Row(0, None, "A summary.", 5, 2, False, "stop", None, None, None)
        assert leases.stored(tx, again, [row], done=False)
    assert _status(database, job_id).note is None


def _submit(database: Database) -> str:
    given = from_python(sentences(2), Columns())
    return submit_documents(database, Request(model="lead-1"), given).job_id


def _put_off(database: Database, seconds: float) -> str:
    """A job whose model could not be looked at."""
    job_id = _submit(database)
    with database.transaction() as tx:
        validation = validations.lease(tx, job_id, "worker", 60)
        assert validation is not None
        assert validation.job_id == job_id
        assert validations.try_later(tx, validation, seconds, *AWAY)
    return job_id


def _start(database: Database, job_id: str) -> None:
    with database.transaction() as tx:
        tx.exec_driver_sql("UPDATE jobs SET next_attempt_at = NULL")
        validation = validations.lease(tx, job_id, "worker", 60)
        assert validation is not None
        assert validations.start(tx, validation, KEY, Effective())


def _status(database: Database, job_id: str) -> JobStatusView:
    with database.transaction() as tx:
        return view(jobs.get(tx, job_id), 1)

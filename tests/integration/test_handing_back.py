"""What is handed back is renewed no more, and a worker that was asked to stop tells nobody."""

from pathlib import Path

from jobs.allowed_sources import Allowed
from jobs.broker import Broker
from jobs.database import Database, Transaction
from jobs.documents import Columns
from jobs.job import ModelKey
from jobs.parameters import Effective
from jobs.settings import Settings
from jobs.store import queueing, validations
from producer.submit import Request, from_python, submit_documents
from tests import leases
from tests.conftest import TIMINGS
from tests.mill import eventually, sentences
from worker.engines.lead import LeadEngine
from worker.heartbeat import Heartbeat
from worker.pipeline import Pipeline

KEY = ModelKey("lead-1", "1", "lead", None)


class Lease:
    def __init__(self) -> None:
        self.renewed = 0

    def renew(self, tx: Transaction) -> bool:
        self.renewed += 1
        return True


def test_renewed_no_more(database: Database, tmp_path: Path) -> None:
    timings = TIMINGS.model_copy(update={"heartbeat": 0.1})
    heartbeat = Heartbeat(database, timings, tmp_path / "drain")
    first, second = Lease(), Lease()
    with heartbeat.holding(first.renew, first.renew):
        eventually(lambda: first.renewed, "it is renewed")
    with heartbeat.holding(second.renew, second.renew):
        # By then a renewal that had begun is over.
        eventually(lambda: second.renewed, "the next one is renewed")
        before = first.renewed
        second.renewed = 0
        eventually(lambda: second.renewed, "the next one is renewed")
    assert first.renewed == before


def test_whatever_a_renewal_meets_the_next_one_comes(database: Database, tmp_path: Path) -> None:
    heartbeat = Heartbeat(database, TIMINGS.model_copy(update={"heartbeat": 0.1}), tmp_path / "d")
    lease = Lease()

    def fail_once(tx: Transaction) -> bool:
        if lease.renew(tx) and lease.renewed == 1:
            raise RuntimeError("a defect")
        return True

    with heartbeat.holding(fail_once, lease.renew):
        eventually(lambda: lease.renewed > 1, "it is renewed again")


def test_asked_to_stop_it_sends_nothing(
    database: Database, broker: Broker, configured: Settings, tmp_path: Path
) -> None:
    """The dispatcher does within a second; a silent Redis would take the time there is."""
    request = Request(model=KEY.model)
    job_id = submit_documents(database, request, from_python(sentences(4), Columns())).job_id
    with database.transaction() as tx:
        validation = validations.lease(tx, job_id, "validator", 60)
        assert validation is not None
        assert validations.start(tx, validation, KEY, Effective())
        (shard,) = queueing.queue_due(tx, 8, TIMINGS.resend_after)
    asked_to_stop = tmp_path / "drain"
    asked_to_stop.touch()
    assert configured.database_url
    Pipeline(
        allowed=Allowed(None),
        database=database,
        broker=broker,
        heartbeat=Heartbeat(Database(configured.database_url), TIMINGS, asked_to_stop),
        load_engine=lambda _key: LeadEngine(1, max_num_seqs=2),
        worker="worker",
        timings=TIMINGS,
    ).summarize(shard)
    assert broker.queue_length() == 0
    with database.transaction() as tx:
        again = leases.lease_next(tx, KEY, "other", 60)
    assert again is not None, "it was handed back"
    assert (again.id, again.deaths) == (shard, 0)

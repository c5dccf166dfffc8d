"""What is handed back is renewed no more, and a worker that was asked to stop tells nobody."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jobs.broker import Broker
from jobs.database import Database, Transaction
from jobs.settings import Settings
from jobs.store import queueing
from tests import leases
from tests.children import pipeline, record, validator
from tests.conftest import TIMINGS
from tests.mill import eventually
from worker.engines.lead import LeadEngine
from worker.heartbeat import Heartbeat


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
    job_id = leases.started(database, 4)
    with database.transaction() as tx:
        (shard,) = queueing.queue_due(tx, 8, TIMINGS.resend_after)
    asked_to_stop = tmp_path / "drain"
    asked_to_stop.touch()
    assert configured.database_url
    heartbeat = Heartbeat(Database(configured.database_url), TIMINGS, asked_to_stop)
    pipeline(database, broker, heartbeat, LeadEngine(1, max_num_seqs=2)).summarize(shard)
    assert broker.queue_length() == 0
    again = leases.lease(database, "other")
    assert (again.id, again.alone) == (shard, False), "it was handed back"
    assert record(database, job_id).completed == 2


class Shaken(Database):
    """What happens after each of its transactions."""

    afterwards: Callable[[], object] | None = None

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with super().transaction() as tx:
            yield tx
        if self.afterwards:
            self.afterwards()


def test_a_lease_that_is_given_up_is_not_lost(
    database: Database,
    broker: Broker,
    configured: Settings,
    heartbeat: Heartbeat,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Here the heartbeat beats right after every commit, which by the clock it hardly ever does."""
    assert configured.database_url
    shaken = Shaken(configured.database_url)
    shaken.afterwards = heartbeat._beat
    job_id = leases.submitted(database, 1)
    validator(shaken, heartbeat, tmp_path).validate(job_id)
    with database.transaction() as tx:
        (shard_id,) = queueing.queue_due(tx, 1, TIMINGS.resend_after)
    pipeline(shaken, broker, heartbeat, LeadEngine(1)).summarize(shard_id)
    shaken.close()
    assert record(database, job_id).completed == 1
    assert "the lease was lost" not in caplog.text

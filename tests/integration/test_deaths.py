"""What is counted of a lease that ends without a word, whoever finds it."""

import pytest

from jobs.database import Database
from jobs.job import Shard
from jobs.store import control, deaths, endings, jobs, leasing, validations, workers
from jobs.store.workers import Presence
from tests.leases import LEASE, WORKER, die, lease, started, store, submitted


@pytest.mark.parametrize("heir", [WORKER, "another"])
@pytest.mark.parametrize("returned", [True, False])
def test_with_documents_in_hand(database: Database, heir: str, returned: bool) -> None:
    """They are suspects, whether a worker takes over or the dispatcher takes back."""
    started(database, 6)
    for in_hand in ([1, 2], [2], [0]):
        die(database, in_hand, seconds=-1)
        if returned:
            assert _return_expired(database) == 1
    shard = lease(database, heir)
    assert shard.suspects == {0: 1, 1: 0, 2: 1}
    assert (shard.deaths, shard.false_starts) == (1, 0)


def test_what_is_stored_is_suspected_no_longer(database: Database) -> None:
    started(database, 6)
    die(database, [1, 2])
    store(database, lease(database), [1], [2])
    shard = lease(database)
    assert shard.suspects == {2: 1}
    assert shard.deaths == 1, "progress does not make the next batch smaller"


def test_handing_back_is_no_death(database: Database) -> None:
    started(database, 6)
    for _ in range(4):
        shard = die(database, [2, 3])
        with database.transaction() as tx:
            assert leasing.hand_back(tx, [shard])
    assert _unharmed(lease(database))


def test_without_documents_in_hand(database: Database) -> None:
    started(database, 6)
    for _ in range(2):
        die(database, [])
    shard = lease(database)
    assert (shard.deaths, shard.false_starts, shard.suspects) == (0, 2, {})
    store(database, shard, [], [2, 3])
    assert lease(database).false_starts == 0, "a batch was begun"


@pytest.mark.parametrize("returned", [True, False])
def test_a_machine_that_vanishes_before_a_batch(database: Database, returned: bool) -> None:
    """It died of nothing of ours; but `status` says that it is gone."""
    job_id = started(database, 6)
    for number in range(4):
        lease(database, f"worker-{number}", seconds=-1)
        if returned:
            assert _return_expired(database) == 1
    assert _unharmed(lease(database))
    with database.transaction() as tx:
        note = jobs.get(tx, job_id).note
    assert note is not None
    assert note["code"] == "worker_died"
    assert note["message"] == "worker-3 was gone before it began a batch of shard 0"


def test_a_child_that_nobody_asks_for_its_shard(database: Database) -> None:
    """Its message may have come back to another worker, which leaves a live lease alone. Two
    workers would go on so for ever if it were none."""
    started(database, 6)
    with database.transaction() as tx:
        workers.announce(tx, Presence(WORKER, "worker", "host", 1, "cpu", "1"))
    die(database, [], seconds=-1)
    assert _return_expired(database) == 1
    die(database, [], seconds=-1)
    assert lease(database, "another").false_starts == 2


def test_a_retry_forgets(database: Database) -> None:
    job_id = started(database, 6)
    for in_hand in ([1, 2], [2], []):
        died = die(database, in_hand)
    with database.transaction() as tx:
        assert endings.fail(tx, job_id, "worker_died", "why")
        assert leasing.hand_back(tx, [died])
        endings.close_finished(tx)
        assert control.retry(tx, job_id, None) is not None
    assert _unharmed(lease(database))


def test_over_a_model(database: Database) -> None:
    job_id = submitted(database, 1)
    for died in range(3):
        with database.transaction() as tx:
            validation = validations.lease(tx, job_id, WORKER, LEASE)
        assert validation is not None
        assert validation.deaths == died


def test_a_machine_that_vanishes_over_a_model(database: Database) -> None:
    job_id = submitted(database, 1)
    for worker in ("one", "another", "a third"):
        with database.transaction() as tx:
            validation = validations.lease(tx, job_id, worker, -1)
            assert validation is not None
            assert validation.deaths == 0
            assert validations.return_expired(tx, LEASE) == 1


def _return_expired(database: Database) -> int:
    with database.transaction() as tx:
        return deaths.return_expired(tx, LEASE)


def _unharmed(shard: Shard) -> bool:
    return (shard.deaths, shard.false_starts, shard.suspects) == (0, 0, {})

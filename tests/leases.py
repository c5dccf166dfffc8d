"""A job of one shard in the database, and workers that lease it and never come back."""

from collections.abc import Sequence

from jobs.database import Database, Transaction
from jobs.documents import Columns
from jobs.job import Batching, ModelKey, Portion, Row, Shard
from jobs.parameters import Effective
from jobs.store import leasing, shards, summaries, validations
from producer.submit import Request, from_python, submit_documents
from tests.mill import sentences

KEY = ModelKey("lead-1", "1", "lead", None)
WORKER = "worker"
LEASE = 60.0


def submitted(database: Database, count: int) -> str:
    given = from_python(sentences(count), Columns())
    return submit_documents(database, Request(model=KEY.model, shard_size=256), given).job_id


def started(database: Database, count: int) -> str:
    """A job that is in progress."""
    job_id = submitted(database, count)
    with database.transaction() as tx:
        validation = validations.lease(tx, job_id, "validator", LEASE)
        assert validation is not None
        assert validations.start(tx, validation, KEY, Effective())
    return job_id


def lease_next(tx: Transaction, key: ModelKey, worker: str, seconds: float) -> Shard | None:
    """The next one, where there is one."""
    return next(iter(leasing.take_next(tx, key, worker, seconds)), None)


def lease(database: Database, worker: str = WORKER, seconds: float = LEASE) -> Shard:
    with database.transaction() as tx:
        shard = lease_next(tx, KEY, worker, seconds)
    assert shard is not None
    return shard


def announced(
    tx: Transaction, shard: Shard, in_hand: Sequence[int], seconds: float = LEASE
) -> bool:
    """Write down the batch at hand; False where the lease is lost or the job does not go on."""
    return shard.id in shards.announce(tx, [shard], {shard.id: in_hand}, seconds)


def stored(
    tx: Transaction,
    shard: Shard,
    rows: Sequence[Row],
    *,
    done: bool,
    seconds: float = LEASE,
    busy_seconds: float = 1,
) -> bool:
    """Store rows of one shard; False where the lease is lost."""
    batching = Batching(generating_seconds=busy_seconds)
    return shard.id in shards.store(tx, [Portion(shard, rows, done, batching)], seconds)


def die(database: Database, in_hand: Sequence[int], seconds: float = LEASE) -> Shard:
    """Lease the shard, write a batch down, and never come back."""
    shard = lease(database, seconds=seconds)
    store(database, shard, [], in_hand, seconds)
    return shard


def store(
    database: Database,
    shard: Shard,
    done: Sequence[int],
    in_hand: Sequence[int],
    seconds: float = LEASE,
) -> None:
    rows = [Row(index, None, "A summary.", 5, 2, False, "stop", None, None, None) for index in done]
    with database.transaction() as tx:
        assert stored(tx, shard, rows, done=False, seconds=seconds)
        if in_hand:
            assert announced(tx, shard, in_hand, seconds)


def failed(database: Database, job_id: str) -> dict[int, str]:
    """The failed documents of a small job, by index, and their codes."""
    with database.transaction() as tx:
        rows = summaries.page(tx, job_id, -1, 100)
    return {row["index"]: row["error"]["code"] for row in rows if row["error"]}

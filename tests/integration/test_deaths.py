"""No job hangs for ever: five deaths without progress fail what was in hand, and nothing else."""

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from jobs import sources
from jobs.broker import Broker
from jobs.database import Database, Transaction
from jobs.documents import Columns
from jobs.job import ModelKey, Shard
from jobs.parameters import Effective
from jobs.settings import Settings
from jobs.store import endings, jobs, shards, summaries, validations
from producer.submit import Request, from_python, submit_documents
from tests.conftest import TIMINGS
from tests.mill import sentences
from worker.engines import Engine, Generated
from worker.engines.lead import LeadEngine
from worker.heartbeat import Heartbeat
from worker.pipeline import LoadEngine, Pipeline

KEY = ModelKey("lead-1", "1", "lead", None)
WORKER = "worker"


def test_only_the_batch_in_hand_fails(
    database: Database, broker: Broker, configured: Settings, tmp_path: Path
) -> None:
    job_id = _started(database, 6)
    for _ in range(5):
        _die(database, in_hand=[2, 3])
    _work(database, broker, configured, tmp_path, _lead)
    with database.transaction() as tx:
        record = jobs.get(tx, job_id)
        rows = _codes(tx, job_id)
    assert (record.completed, record.failed) == (4, 2)
    assert [index for index, code in rows.items() if code == "worker_died"] == [2, 3]


def test_four_deaths_are_survived(
    database: Database, broker: Broker, configured: Settings, tmp_path: Path
) -> None:
    job_id = _started(database, 6)
    for _ in range(4):
        _die(database, in_hand=[2, 3])
    _work(database, broker, configured, tmp_path, _lead)
    with database.transaction() as tx:
        assert jobs.get(tx, job_id).completed == 6


def test_deaths_before_any_batch_fail_the_job(
    database: Database, broker: Broker, configured: Settings, tmp_path: Path
) -> None:
    job_id = _started(database, 6)
    for _ in range(5):
        _die(database, in_hand=[])
    _work(database, broker, configured, tmp_path, _lead)
    with database.transaction() as tx:
        endings.close_finished(tx)
        record = jobs.get(tx, job_id)
    assert (record.status, record.error and record.error["code"]) == ("failed", "worker_died")


@pytest.mark.parametrize(("deaths", "in_hand"), [(5, []), (10, [2, 3])])
def test_a_source_that_no_worker_can_read_fails_the_job(
    database: Database,
    broker: Broker,
    configured: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    deaths: int,
    in_hand: list[int],
) -> None:
    """Whatever reading raises, with a batch written down by an earlier worker or without."""
    job_id = _started(database, 6)
    for _ in range(deaths):
        _die(database, in_hand)

    def defect(*_: object) -> NoReturn:
        raise RuntimeError("a defect")

    monkeypatch.setattr(sources, "read", defect)
    _work(database, broker, configured, tmp_path, _lead)
    with database.transaction() as tx:
        endings.close_finished(tx)
        record = jobs.get(tx, job_id)
    assert (record.status, record.error and record.error["code"]) == ("failed", "worker_died")


@pytest.mark.parametrize(
    ("deaths", "seqs", "sizes"), [(0, 2, [8, 8, 8]), (1, 1, [4] * 6), (1, 2, [2] * 12)]
)
def test_batches_shrink_by_deaths_and_by_what_a_document_takes(
    database: Database,
    broker: Broker,
    configured: Settings,
    tmp_path: Path,
    deaths: int,
    seqs: int,
    sizes: list[int],
) -> None:
    engine = _Counting(seqs)
    _started(database, 24)
    for _ in range(deaths):
        _die(database, in_hand=[2, 3])
    _work(database, broker, configured, tmp_path, lambda _key: engine)
    assert engine.sizes == sizes


def test_what_the_model_refuses_fails_alone(
    database: Database, broker: Broker, configured: Settings, tmp_path: Path
) -> None:
    """A batch is halved until the document that the model can not take stands alone."""
    job_id = _started(database, 16)
    _work(database, broker, configured, tmp_path, lambda _key: _Picky(1))
    with database.transaction() as tx:
        record = jobs.get(tx, job_id)
        rows = _codes(tx, job_id)
    assert (record.completed, record.failed) == (15, 1)
    assert rows[7] == "generation_failed"


class _Counting(LeadEngine):
    """Takes 16 sequences at once, of which each document takes some."""

    def __init__(self, seqs_per_document: int) -> None:
        super().__init__(1, max_num_seqs=16)
        self.sizes: list[int] = []
        self._seqs = seqs_per_document

    def seqs_per_document(self, effective: Effective) -> int:
        return self._seqs

    def generate(
        self, batch: Sequence[list[int]], effective: Effective, seeds: Sequence[int]
    ) -> list[Generated]:
        self.sizes.append(len(batch))
        return super().generate(batch, effective, seeds)


class _Picky(LeadEngine):
    """Refuses any batch with document 7 in it."""

    def generate(
        self, batch: Sequence[list[int]], effective: Effective, seeds: Sequence[int]
    ) -> list[Generated]:
        if any("7" in "".join(map(chr, ids)) for ids in batch):
            raise RuntimeError("index out of range in self")
        return super().generate(batch, effective, seeds)


def _codes(tx: Transaction, job_id: str) -> dict[int, str | None]:
    rows = summaries.page(tx, job_id, -1, 100)
    return {row["index"]: row["error"] and row["error"]["code"] for row in rows}


def _lead(key: ModelKey) -> Engine:
    del key
    return LeadEngine(1)


def _started(database: Database, count: int) -> str:
    request = Request(model=KEY.model)
    job_id = submit_documents(database, request, from_python(sentences(count), Columns())).job_id
    with database.transaction() as tx:
        validation = validations.lease(tx, job_id, "validator", 60)
        assert validation is not None
        assert validations.start(tx, validation, KEY, Effective())
    return job_id


def _die(database: Database, in_hand: list[int]) -> Shard:
    """Lease the shard, write a batch down, and never come back."""
    with database.transaction() as tx:
        shard = shards.lease_next(tx, KEY, WORKER, 60)
        assert shard is not None
        assert shards.store(tx, shard, [], in_hand, done=False, lease_seconds=60, busy_seconds=1)
    return shard


def _work(
    database: Database, broker: Broker, configured: Settings, folder: Path, load: LoadEngine
) -> None:
    """A worker of the same name as the one that died comes back, as its own next child does."""
    assert configured.database_url
    heartbeat = Heartbeat(Database(configured.database_url), TIMINGS, folder / "drain")
    pipeline = Pipeline(
        database=database,
        broker=broker,
        heartbeat=heartbeat,
        load_engine=load,
        worker=WORKER,
        timings=TIMINGS,
    )
    with database.transaction() as tx:
        first = tx.exec_driver_sql("SELECT min(id) FROM shards").scalar_one()
    pipeline.summarize(first)

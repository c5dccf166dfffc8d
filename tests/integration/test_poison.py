"""No job hangs for ever: a document that workers die of is found and fails alone, however it
kills, and no other fails with it.

A death is an exception that nothing in the pipeline knows, so that it leaves what a killed
process leaves; whoever works next under the same name is the worker's next child.
"""

import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from jobs import sources
from jobs.allowed_sources import Allowed
from jobs.broker import Broker
from jobs.database import Database, Transaction
from jobs.parameters import Effective
from jobs.settings import Settings
from jobs.store import endings, jobs, summaries, validations
from jobs.store.jobs import JobRecord
from tests.conftest import TIMINGS
from tests.leases import LEASE, WORKER, die, failed, lease, started, submitted
from tests.mill import PATIENCE
from worker import exit_codes
from worker.engines import DeviceLost, Encoded, Generated
from worker.engines.lead import LeadEngine
from worker.heartbeat import Heartbeat
from worker.pipeline import Pipeline
from worker.validation import Validator


class Died(BaseException):
    """Stands for a signal: nothing of ours handles it."""


class Recording(LeadEngine):
    """Notes which documents were in hand each time. A document takes `seqs` of 8 sequences."""

    def __init__(self, seqs: int = 1) -> None:
        super().__init__(1, max_num_seqs=8)
        self.batches: list[list[int]] = []
        self._seqs = seqs

    def seqs_per_document(self, effective: Effective) -> int:
        return self._seqs

    def generate(
        self, batch: Sequence[list[int]], effective: Effective, seeds: Sequence[int]
    ) -> list[Generated]:
        texts = ["".join(map(chr, ids)) for ids in batch]
        self.batches.append([int(re.findall(r"\d+", text)[0]) for text in texts])
        return super().generate(batch, effective, seeds)


class Poisoned(Recording):
    """Some documents kill who takes them up."""

    def __init__(self, *poison: int, seqs: int = 1, how: type[BaseException] = Died) -> None:
        super().__init__(seqs)
        self._poison = set(poison)
        self._how = how

    def generate(
        self, batch: Sequence[list[int]], effective: Effective, seeds: Sequence[int]
    ) -> list[Generated]:
        made = super().generate(batch, effective, seeds)
        if self._poison.intersection(self.batches[-1]):
            raise self._how
        return made


class Shaken(Database):
    """What happens after each of its transactions."""

    afterwards: Callable[[], object] | None = None

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with super().transaction() as tx:
            yield tx
        if self.afterwards:
            self.afterwards()


@pytest.fixture
def shaken(configured: Settings) -> Iterator[Shaken]:
    assert configured.database_url
    opened = Shaken(configured.database_url)
    yield opened
    opened.close()


@pytest.fixture
def heartbeat(database: Database, tmp_path: Path) -> Heartbeat:
    # It beats when a test says so.
    return Heartbeat(database, TIMINGS.model_copy(update={"heartbeat": 1e6}), tmp_path / "drain")


NextChild = Callable[..., Callable[[], None]]


@pytest.fixture
def next_child(shaken: Shaken, broker: Broker, heartbeat: Heartbeat) -> NextChild:
    """The worker's next child; what it does at the message of the one shard there is."""

    def born(engine: LeadEngine, **timings: float) -> Callable[[], None]:
        pipeline = Pipeline(
            allowed=Allowed(None),
            database=shaken,
            broker=broker,
            heartbeat=heartbeat,
            load_engine=lambda _key: engine,
            worker=WORKER,
            timings=TIMINGS.model_copy(update=timings),
        )
        with shaken.transaction() as tx:
            shard_id = tx.exec_driver_sql("SELECT id FROM shards").scalar_one()
        return lambda: pipeline.summarize(shard_id)

    return born


# --- a poisonous document


def test_a_text_that_is_never_tokenized(
    database: Database, next_child: NextChild, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends at the deadline, before a batch as in one."""
    started(database, 1)
    codes: list[int] = []
    ended = threading.Event()

    def end(code: int) -> None:
        codes.append(code)
        ended.set()

    class Endless(LeadEngine):
        def encode(self, texts: Sequence[str], effective: Effective) -> list[Encoded]:
            assert ended.wait(PATIENCE)
            raise Died

    monkeypatch.setattr(os, "_exit", end)
    with pytest.raises(Died):
        next_child(Endless(1), batch_deadline=0.1)()
    assert codes[0] == exit_codes.DEADLINE


def test_it_alone_fails(database: Database, next_child: NextChild) -> None:
    job_id = started(database, 20)
    assert _count_deaths(next_child, Poisoned(5)) == 1 + 3
    assert failed(database, job_id) == {5: "worker_died"}
    assert _record(database, job_id).completed == 19
    with database.transaction() as tx:
        [failure] = summaries.failures(tx, job_id, 1)
    expected = "document 5: in hand, alone, each of the 3 times a worker died"
    assert failure.samples[0]["message"] == expected


def test_those_in_hand_with_it_come_last_and_alone(
    database: Database, next_child: NextChild
) -> None:
    started(database, 20)
    first, second = Poisoned(5), Poisoned(5)
    for engine in (first, second):
        with pytest.raises(Died):
            next_child(engine)()
    [*done, suspects] = first.batches
    left = {*range(20)} - set(suspects) - {number for batch in done for number in batch}
    innocents = [batch for batch in second.batches if left.issuperset(batch)]
    assert {number for batch in innocents for number in batch} == left
    alone = [[number] for number in sorted(suspects) if number <= 5]
    assert second.batches == innocents + alone


def test_two_in_different_batches(database: Database, next_child: NextChild) -> None:
    """k documents in b batches cost b + 3 k deaths at most."""
    job_id = started(database, 24)
    assert _count_deaths(next_child, Poisoned(9, 23)) == 2 + 3 * 2
    assert failed(database, job_id) == {9: "worker_died", 23: "worker_died"}


def test_one_that_is_alone_from_the_start(database: Database, next_child: NextChild) -> None:
    """As a document is that is longer than the token budget."""
    job_id = started(database, 3)
    assert _count_deaths(next_child, Poisoned(1, seqs=8)) == 3
    assert failed(database, job_id) == {1: "worker_died"}


def test_one_that_loses_the_device(database: Database, next_child: NextChild) -> None:
    """The pipeline lets it pass; `worker.tasks` ends the process."""
    job_id = started(database, 6)
    assert _count_deaths(next_child, Poisoned(5, how=DeviceLost)) == 1 + 3
    assert failed(database, job_id) == {5: "worker_died"}


def test_who_is_killed_twice_alone_completes(database: Database, next_child: NextChild) -> None:
    job_id = started(database, 6)
    for in_hand in ([2, 3, 4], [3], [3]):
        die(database, in_hand)
    next_child(Recording())()
    assert _record(database, job_id).completed == 6


@pytest.mark.parametrize(
    ("in_hand", "seqs", "most"),
    [([], 1, 8), ([], 2, 4), ([3], 1, 8), ([2, 3], 1, 2), ([2, 3], 2, 1)],
)
def test_batches_shrink_by_deaths_and_by_what_a_document_takes(
    database: Database, next_child: NextChild, in_hand: list[int], seqs: int, most: int
) -> None:
    engine = Recording(seqs)
    started(database, 24)
    die(database, in_hand)
    next_child(engine)()
    assert max(map(len, engine.batches)) == most


def test_batches_shrink_in_tokens_too(database: Database, next_child: NextChild) -> None:
    """Where these bound them, as on a device that is full before it has 8 documents."""

    class Narrow(Recording):
        max_num_batched_tokens: int | None = 8 * 80

    engine = Narrow()
    started(database, 24)
    die(database, [2, 3])
    next_child(engine)()
    assert max(map(len, engine.batches)) == 2


# --- a defect


def test_a_defect_is_tried_again_and_is_nobodys_death(
    database: Database, next_child: NextChild, heartbeat: Heartbeat
) -> None:
    class Defective(Recording):
        def encode(self, texts: Sequence[str], effective: Effective) -> list[Encoded]:
            raise KeyError("a secret of a document")

    job_id = started(database, 6)
    next_child(Defective())()
    with database.transaction() as tx:
        what = "SELECT state, deaths, false_starts, tries, suspects FROM shards"
        assert tuple(tx.exec_driver_sql(what).one()) == ("pending", 0, 0, 1, {})
    note = _record(database, job_id).note
    assert note is not None
    assert note["code"] == "internal_error"
    assert note["message"] == "KeyError; the worker's log has the rest"


def test_five_defects_fail_the_job_with_their_name(
    database: Database, next_child: NextChild, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(*_: object) -> NoReturn:
        raise AttributeError

    monkeypatch.setattr(sources, "read", defect)
    job_id = started(database, 6)
    for _ in range(5):
        next_child(Recording(), retry_first=1e-6)()
    assert (_record(database, job_id).error or {})["code"] == "internal_error"


# --- before a batch


def test_ten_machines_that_vanish_fail_the_job(database: Database, next_child: NextChild) -> None:
    """Each was ended with all that ran on it: for the memory that the model takes, it seems."""
    job_id = started(database, 6)
    for number in range(10):
        lease(database, f"worker-{number}", seconds=-1)
    next_child(Recording())()
    error = _record(database, job_id).error or {}
    assert error["code"] == "worker_died"
    assert error["message"].startswith("10 workers in a row were gone")


def test_three_false_starts_fail_the_job(database: Database, next_child: NextChild) -> None:
    job_id = started(database, 6)
    for in_hand in ([], [], [2, 3], [], [], []):
        die(database, in_hand)
    next_child(Recording())()
    with database.transaction() as tx:
        endings.close_finished(tx)
    record = _record(database, job_id)
    assert record.status == "failed"
    assert record.error is not None
    assert record.error["code"] == "worker_died"
    assert record.error["message"].startswith("3 workers died in a row before they could begin")


def test_two_are_survived(database: Database, next_child: NextChild) -> None:
    job_id = started(database, 6)
    for in_hand in ([], [], [2, 3], [], []):
        die(database, in_hand)
    next_child(Recording())()
    assert _record(database, job_id).completed == 6


def test_a_source_that_no_worker_can_read_fails_the_job(
    database: Database, next_child: NextChild, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever reading raises, after a batch that an earlier worker died of."""

    def defect(*_: object) -> NoReturn:
        raise Died

    monkeypatch.setattr(sources, "read", defect)
    job_id = started(database, 6)
    die(database, [2, 3])
    assert _count_deaths(next_child, Recording()) == 3
    assert (_record(database, job_id).error or {})["code"] == "worker_died"


def test_three_deaths_over_a_model_refuse_the_job(
    database: Database, heartbeat: Heartbeat, tmp_path: Path
) -> None:
    job_id = submitted(database, 1)
    for _ in range(3):
        with database.transaction() as tx:
            assert validations.lease(tx, job_id, WORKER, LEASE)
    _validator(database, heartbeat, tmp_path).validate(job_id)
    error = _record(database, job_id).error
    assert error == {
        "code": "worker_died",
        "message": "3 workers died while they looked at the model",
    }


# --- what is no death


def test_a_lease_that_is_given_up_is_not_lost(
    database: Database,
    shaken: Shaken,
    next_child: NextChild,
    heartbeat: Heartbeat,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Here the heartbeat beats right after every commit, which by the clock it hardly ever does."""
    shaken.afterwards = heartbeat._beat
    validated = submitted(database, 1)
    _validator(shaken, heartbeat, tmp_path).validate(validated)
    next_child(Recording())()
    assert _record(database, validated).completed == 1
    assert "the lease was lost" not in caplog.text


def _validator(database: Database, heartbeat: Heartbeat, home: Path) -> Validator:
    return Validator(
        allowed=Allowed(None),
        database=database,
        heartbeat=heartbeat,
        home=home,
        device="cpu",
        worker=WORKER,
        timings=TIMINGS,
    )


def _count_deaths(next_child: NextChild, engine: LeadEngine) -> int:
    """How many children die before the work is done."""
    for died in range(20):
        try:
            next_child(engine)()
        except (Died, DeviceLost):
            continue
        return died
    raise AssertionError("they die for ever")


def _record(database: Database, job_id: str) -> JobRecord:
    with database.transaction() as tx:
        return jobs.get(tx, job_id)

"""No job hangs for ever: a document that workers die of is found and fails alone, however it
kills, and no other fails with it.

A death is an exception that nothing in the pipeline knows, so that it leaves what a killed
process leaves; whoever works next under the same name is the worker's next child.
"""

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from jobs.database import Database
from jobs.parameters import Effective
from jobs.sources import Sources
from jobs.store import endings, summaries, validations
from tests.children import Died, NextChild, Recording, count_deaths, record, validator
from tests.leases import LEASE, WORKER, die, failed, lease, started, submitted
from tests.mill import PATIENCE
from worker import exit_codes
from worker.engines import DeviceLost, Encoded, Generated
from worker.engines.lead import LeadEngine
from worker.heartbeat import Heartbeat


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
    assert count_deaths(next_child, Poisoned(5)) == 1 + 3
    assert failed(database, job_id) == {5: "worker_died"}
    assert record(database, job_id).completed == 19
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
    assert count_deaths(next_child, Poisoned(9, 23)) == 2 + 3 * 2
    assert failed(database, job_id) == {9: "worker_died", 23: "worker_died"}


def test_one_that_is_alone_from_the_start(database: Database, next_child: NextChild) -> None:
    """As a document is that is longer than the token budget."""
    job_id = started(database, 3)
    assert count_deaths(next_child, Poisoned(1, seqs=8)) == 3
    assert failed(database, job_id) == {1: "worker_died"}


def test_one_that_loses_the_device(database: Database, next_child: NextChild) -> None:
    """The pipeline lets it pass; `worker.tasks` ends the process."""
    job_id = started(database, 6)
    assert count_deaths(next_child, Poisoned(5, how=DeviceLost)) == 1 + 3
    assert failed(database, job_id) == {5: "worker_died"}


def test_who_is_killed_twice_alone_completes(database: Database, next_child: NextChild) -> None:
    job_id = started(database, 6)
    for in_hand in ([2, 3, 4], [3], [3]):
        die(database, in_hand)
    next_child(Recording())()
    assert record(database, job_id).completed == 6


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
    note = record(database, job_id).note
    assert note is not None
    assert note["code"] == "internal_error"
    assert note["message"] == "KeyError; the worker's log has the rest"


def test_five_defects_fail_the_job_with_their_name(
    database: Database, next_child: NextChild, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(*_: object) -> NoReturn:
        raise AttributeError

    monkeypatch.setattr(Sources, "read", defect)
    job_id = started(database, 6)
    for _ in range(5):
        next_child(Recording(), retry_first=1e-6)()
    assert (record(database, job_id).error or {})["code"] == "internal_error"


# --- before a batch


def test_ten_machines_that_vanish_fail_the_job(database: Database, next_child: NextChild) -> None:
    """Each was ended with all that ran on it: for the memory that the model takes, it seems."""
    job_id = started(database, 6)
    for number in range(10):
        lease(database, f"worker-{number}", seconds=-1)
    next_child(Recording())()
    error = record(database, job_id).error or {}
    assert error["code"] == "worker_died"
    assert error["message"].startswith("10 workers in a row were gone")


def test_three_false_starts_fail_the_job(database: Database, next_child: NextChild) -> None:
    job_id = started(database, 6)
    for in_hand in ([], [], [2, 3], [], [], []):
        die(database, in_hand)
    next_child(Recording())()
    with database.transaction() as tx:
        endings.close_finished(tx)
    ended = record(database, job_id)
    assert ended.status == "failed"
    assert ended.error is not None
    assert ended.error["code"] == "worker_died"
    assert ended.error["message"].startswith("3 workers died in a row before they could begin")


def test_two_are_survived(database: Database, next_child: NextChild) -> None:
    job_id = started(database, 6)
    for in_hand in ([], [], [2, 3], [], []):
        die(database, in_hand)
    next_child(Recording())()
    assert record(database, job_id).completed == 6


def test_a_source_that_no_worker_can_read_fails_the_job(
    database: Database, next_child: NextChild, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever reading raises, after a batch that an earlier worker died of."""

    def defect(*_: object) -> NoReturn:
        raise Died

    monkeypatch.setattr(Sources, "read", defect)
    job_id = started(database, 6)
    die(database, [2, 3])
    assert count_deaths(next_child, Recording()) == 3
    assert (record(database, job_id).error or {})["code"] == "worker_died"


def test_three_deaths_over_a_model_refuse_the_job(
    database: Database, heartbeat: Heartbeat, tmp_path: Path
) -> None:
    job_id = submitted(database, 1)
    for _ in range(3):
        with database.transaction() as tx:
            assert validations.lease(tx, job_id, WORKER, LEASE)
    validator(database, heartbeat, tmp_path).validate(job_id)
    error = record(database, job_id).error
    assert error == {
        "code": "worker_died",
        "message": "3 workers died while they looked at the model",
    }

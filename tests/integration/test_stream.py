"""The model does not wait: what comes next is read, and what is done stored, beside it. And
shards that are in hand together do each other no harm."""

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from jobs.broker import Broker
from jobs.database import Database, Transaction
from jobs.documents import Columns
from jobs.job import Row
from jobs.parameters import Effective
from jobs.store import control, leasing, summaries, validations
from producer.submit import Request, from_python, submit_documents
from tests.children import Died, NextChild, Recording, count_deaths, pipeline, record
from tests.conftest import TIMINGS
from tests.leases import KEY, LEASE, WORKER, failed
from tests.mill import PATIENCE, eventually
from worker.engines import Encoded, Generated
from worker.heartbeat import Heartbeat


def started(database: Database, *numbers: int, shard_size: int = 256) -> str:
    """A job in progress, of documents with these numbers in their texts."""
    texts = [f"Text {number}. And more." for number in numbers]
    request = Request(model=KEY.model, shard_size=shard_size)
    job_id = submit_documents(database, request, from_python(texts, Columns())).job_id
    with database.transaction() as tx:
        validation = validations.lease(tx, job_id, "validator", LEASE)
        assert validation is not None
        assert validations.start(tx, validation, KEY, Effective())
    return job_id


# --- together


def test_small_shards_fill_batches_together(database: Database, next_child: NextChild) -> None:
    engine = Recording()
    jobs = [started(database, number) for number in range(12)]
    jobs.append(started(database, *range(12, 16), shard_size=2))
    next_child(engine)()
    assert [len(batch) for batch in engine.batches] == [8, 8]
    assert [record(database, job_id).completed for job_id in jobs] == [1] * 12 + [4]


def test_jobs_from_before_a_parameter_was_new_fill_batches_too(
    database: Database, next_child: NextChild
) -> None:
    engine = Recording()
    for number in range(3):
        started(database, number)
    with database.transaction() as tx:
        tx.exec_driver_sql("UPDATE jobs SET parameters = parameters - 'long_documents'")
    started(database, 3)
    next_child(engine)()
    assert engine.batches == [[0, 1, 2, 3]]


def test_the_oldest_document_does_not_wait_for_all_longer_ones(
    database: Database, next_child: NextChild
) -> None:
    """A slice may have time for one batch only, and longer documents may keep coming."""
    engine = Recording()
    started(database, 1)
    started(database, *range(100, 115))
    started(database, *range(10, 14))
    next_child(engine)()
    first, *later = engine.batches
    assert 1 in first
    assert all(number >= 100 for number in later[0])
    assert len([number for batch in engine.batches for number in batch]) == 20


@pytest.mark.parametrize(
    "other",
    [
        "UPDATE jobs SET priority = -1 WHERE id = %(id)s",
        """UPDATE jobs SET parameters = parameters || '{"seed": 1}' WHERE id = %(id)s""",
        "UPDATE shards SET alone = true WHERE job_id = %(id)s",
    ],
    ids=["priority", "parameters", "alone"],
)
def test_what_does_not_go_together(database: Database, next_child: NextChild, other: str) -> None:
    engine = Recording()
    jobs = [started(database, 2 * number, 2 * number + 1) for number in range(3)]
    with database.transaction() as tx:
        tx.exec_driver_sql(other, {"id": jobs[2]})
    next_child(engine)()
    assert engine.batches == [[0, 1, 2, 3], [4, 5]]
    assert [record(database, job_id).completed for job_id in jobs] == [2, 2, 2]


def test_a_job_that_is_paused_leaves_the_others(database: Database, next_child: NextChild) -> None:
    """Within one batch."""
    paused, other = started(database, *range(12)), started(database, *range(12, 24))

    class Pausing(Recording):
        def generate(
            self, batch: Sequence[list[int]], effective: Effective, seeds: Sequence[int]
        ) -> list[Generated]:
            if not self.batches:
                with database.transaction() as tx:
                    assert control.pause(tx, paused)
            return super().generate(batch, effective, seeds)

    engine = Pausing()
    next_child(engine)()
    assert record(database, other).completed == 12
    [first, *later] = engine.batches
    assert record(database, paused).completed == sum(number < 12 for number in first) < 12
    assert min(number for batch in later for number in batch) >= 12
    with database.transaction() as tx:
        assert control.resume(tx, paused)
    next_child(Recording())()
    assert record(database, paused).completed == 12


# --- beside


def test_what_comes_next_is_read_while_the_model_works(
    database: Database, next_child: NextChild
) -> None:
    encoded = threading.Semaphore(0)

    class Watching(Recording):
        def encode(self, texts: Sequence[str], effective: Effective) -> list[Encoded]:
            found = super().encode(texts, effective)
            encoded.release()
            return found

        def generate(
            self, batch: Sequence[list[int]], effective: Effective, seeds: Sequence[int]
        ) -> list[Generated]:
            if not self.batches:
                for _ in range(2):
                    assert encoded.acquire(timeout=PATIENCE), "the second shard is read by now"
            return super().generate(batch, effective, seeds)

    job_id = started(database, *range(512))
    next_child(Watching(most=128))()
    assert record(database, job_id).completed == 512


def test_what_is_done_is_stored_while_the_model_works(
    database: Database, next_child: NextChild, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Semaphore(0)

    class Beginning(Recording):
        def generate(
            self, batch: Sequence[list[int]], effective: Effective, seeds: Sequence[int]
        ) -> list[Generated]:
            begun.release()
            return super().generate(batch, effective, seeds)

    def add(tx: Transaction, job_id: str, rows: Sequence[Row]) -> list[Row]:
        if len(rows) == 8 and not _stored(database, job_id):
            for _ in range(2):
                assert begun.acquire(timeout=PATIENCE), "the second batch is begun by now"
        return whole(tx, job_id, rows)

    whole = summaries.add
    monkeypatch.setattr(summaries, "add", add)
    job_id = started(database, *range(24))
    next_child(Beginning())()
    assert record(database, job_id).completed == 24


def test_a_defect_in_storing_is_tried_again(
    database: Database, next_child: NextChild, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it is met: here with the last batch there is."""

    def add(tx: Transaction, job_id: str, rows: Sequence[Row]) -> list[Row]:
        raise KeyError("a secret of a document")

    job_id = started(database, *range(8))
    with monkeypatch.context() as broken:
        broken.setattr(summaries, "add", add)
        next_child(Recording())()
    assert (record(database, job_id).note or {})["message"].startswith("KeyError; ")
    with database.transaction() as tx:
        tx.exec_driver_sql("UPDATE shards SET next_attempt_at = NULL")
    next_child(Recording())()
    assert record(database, job_id).completed == 8


def test_a_defect_in_storing_is_not_put_down_to_the_next_window(
    database: Database, next_child: NextChild, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = started(database, *range(256)), started(database, *range(256, 512))

    def add(tx: Transaction, job_id: str, rows: Sequence[Row]) -> list[Row]:
        if job_id == bad:
            raise KeyError
        return whole(tx, job_id, rows)

    whole = summaries.add
    monkeypatch.setattr(summaries, "add", add)
    next_child(Recording(most=256))()
    assert record(database, good).completed == 256
    with database.transaction() as tx:
        rows = tx.exec_driver_sql("SELECT tries > 0, state FROM shards ORDER BY id").all()
    # Once, or more often: on a slow machine its pause is over before the other is done.
    assert [tuple(row) for row in rows] == [(True, "pending"), (False, "done")]


def test_how_the_model_was_kept_busy(database: Database, next_child: NextChild) -> None:
    job_id = started(database, *range(12))
    next_child(Recording())()
    batching = record(database, job_id).batching
    assert round(batching.batches, 6) == 2
    assert round(batching.batch_fill, 6) == 1.5, "8 of 8 documents, then 4"
    assert batching.generating_seconds > 0
    assert batching.waiting_seconds > 0


def test_what_was_read_ahead_is_handed_back(
    database: Database, broker: Broker, tmp_path: Path
) -> None:
    """Unharmed, by who is asked to stop."""
    heartbeat = Heartbeat(database, TIMINGS, tmp_path / "drain")

    class Stopping(Recording):
        def generate(
            self, batch: Sequence[list[int]], effective: Effective, seeds: Sequence[int]
        ) -> list[Generated]:
            if not self.batches:
                eventually(lambda: _running(database) == 2, "the second shard is leased")
                (tmp_path / "drain").touch()
            return super().generate(batch, effective, seeds)

    job_id = started(database, *range(512))
    pipeline(database, broker, heartbeat, Stopping(most=128)).summarize(_first_shard(database))
    assert record(database, job_id).completed == 128
    with database.transaction() as tx:
        rows = tx.exec_driver_sql(f"SELECT state, {_HARM} FROM shards").all()
    assert [tuple(row) for row in rows] == [("pending", False, 0, 0, {})] * 2


def test_asked_to_stop_it_leases_no_more(
    database: Database, broker: Broker, tmp_path: Path
) -> None:
    """Here while the model is loaded: what it is given then is not to be lost."""
    heartbeat = Heartbeat(database, TIMINGS, tmp_path / "drain")

    class Stopping(Recording):
        def seqs_per_document(self, effective: Effective) -> int:
            (tmp_path / "drain").touch()  # between the first lease and the next
            return super().seqs_per_document(effective)

    jobs = [started(database, number) for number in range(3)]
    engine = Stopping()
    pipeline(database, broker, heartbeat, engine).summarize(_first_shard(database))
    assert engine.batches == [[0]]
    assert [record(database, job_id).completed for job_id in jobs] == [1, 0, 0]


# --- deaths


class Poisoned(Recording):
    """Some documents kill who takes them up."""

    def __init__(self, *poison: int, most: int = 8) -> None:
        super().__init__(most=most)
        self._poison = set(poison)

    def generate(
        self, batch: Sequence[list[int]], effective: Effective, seeds: Sequence[int]
    ) -> list[Generated]:
        made = super().generate(batch, effective, seeds)
        if self._poison.intersection(self.batches[-1]):
            raise Died
        return made


def test_one_that_kills_fails_alone_of_all_in_its_batch(
    database: Database, next_child: NextChild
) -> None:
    """Though the shards of the others were each in hand with a single document, too."""
    jobs = [started(database, number) for number in range(6)]
    engine = Poisoned(3)
    assert count_deaths(next_child, engine) == 1 + 3
    codes = [failed(database, job_id) for job_id in jobs]
    assert codes == [{}, {}, {}, {0: "worker_died"}, {}, {}]
    assert engine.batches[0] == [0, 1, 2, 3, 4, 5]
    assert sorted(engine.batches[1:]) == [[0], [1], [2], *[[3]] * 3, [4], [5]]


def test_what_was_in_hand_at_a_death_is_taken_over_one_by_one(database: Database) -> None:
    """All of it belongs to the next child at once, and none of it is known to be harmless."""
    for number in range(3):
        started(database, number)
    with database.transaction() as tx:
        held = leasing.take_next(tx, KEY, WORKER, LEASE, documents=256)
    assert len(held) == 3
    with database.transaction() as tx:
        assert len(leasing.take_next(tx, KEY, WORKER, LEASE, documents=256)) == 1


def test_who_was_held_meanwhile_made_no_false_start(
    database: Database, next_child: NextChild
) -> None:
    """A shard that was leased ahead, each time that a worker died of another."""

    class ReadAhead(Poisoned):
        def generate(
            self, batch: Sequence[list[int]], effective: Effective, seeds: Sequence[int]
        ) -> list[Generated]:
            if not self.batches:
                eventually(lambda: _running(database) == 2, "the second shard is leased")
            return super().generate(batch, effective, seeds)

    poisoned, other = started(database, *range(256)), started(database, *range(256, 512))
    engine = ReadAhead(5, most=128)
    assert count_deaths(next_child, engine) == 1 + 3
    assert failed(database, poisoned) == {5: "worker_died"}
    assert record(database, other).completed == 256
    with database.transaction() as tx:
        rows = tx.exec_driver_sql(f"SELECT {_HARM} FROM shards WHERE job_id = '{other}'").all()
    assert [tuple(row) for row in rows] == [(True, 0, 0, {})], "it was done by itself, and no more"


def test_what_is_done_by_itself_has_nothing_beside_it(
    database: Database, next_child: NextChild
) -> None:
    """What kills while it is read must not be put down to what is generated meanwhile."""

    class Unreadable(Recording):
        def encode(self, texts: Sequence[str], effective: Effective) -> list[Encoded]:
            if any("Text 300." in text for text in texts):
                raise Died
            return super().encode(texts, effective)

    job_id, unreadable = started(database, *range(256)), started(database, *range(256, 512))
    engine = Unreadable()
    assert count_deaths(next_child, engine) <= 1 + 3
    assert record(database, job_id).completed == 256
    assert failed(database, job_id) == {}
    assert (record(database, unreadable).error or {})["code"] == "worker_died"


_HARM = "alone, deaths, false_starts, suspects"


def _stored(database: Database, job_id: str) -> set[int]:
    with database.transaction() as tx:
        return summaries.done(tx, job_id, 0, 10**6)


def _running(database: Database) -> int:
    with database.transaction() as tx:
        leased = f"SELECT count(*) FROM shards WHERE state = 'running' AND leased_by = '{WORKER}'"
        return int(tx.exec_driver_sql(leased).scalar_one())


def _first_shard(database: Database) -> int:
    with database.transaction() as tx:
        return int(tx.exec_driver_sql("SELECT min(id) FROM shards").scalar_one())

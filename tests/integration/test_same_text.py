"""The same text once: in a window, from one window to the next, and from what others stored."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from jobs.broker import Broker
from jobs.database import Database, Transaction
from jobs.documents import Columns
from jobs.job import ModelKey
from jobs.parameters import Effective
from jobs.store import control, summaries, validations
from producer import dispatch
from producer.submit import Request, from_python, submit_documents
from tests.children import Died, NextChild, Recording, count_deaths, pipeline, record
from tests.conftest import TIMINGS
from tests.leases import KEY, LEASE, failed
from worker.engines import Encoded, Engine, Generated
from worker.heartbeat import Heartbeat

OTHERS: list[tuple[str, ModelKey, Effective]] = [
    ("model", ModelKey("lead-2", "1", "lead", None), Effective()),
    ("revision", ModelKey("lead-1", "2", "lead", None), Effective()),
    ("engine", ModelKey("lead-1", "1", "native", None), Effective()),
    ("dtype", ModelKey("lead-1", "1", "lead", "float32"), Effective()),
    ("prompt", KEY, Effective(prompt="Shorten: {text}")),
    ("parameters", KEY, Effective(generation={"num_beams": 2})),
    ("long documents", KEY, Effective(long_documents="fail")),
    ("sampling", KEY, Effective(generation={"do_sample": True})),
]

Work = Callable[[Engine], None]


@pytest.fixture
def work(database: Database, broker: Broker, heartbeat: Heartbeat) -> Work:
    """A child does all there is to do."""

    def done(engine: Engine) -> None:
        with database.transaction() as tx:
            first = "SELECT min(id) FROM shards WHERE state NOT IN ('done', 'cancelled')"
            shard_id = tx.exec_driver_sql(first).scalar_one()
        pipeline(database, broker, heartbeat, engine).summarize(shard_id)

    return done


def started(
    database: Database,
    *numbers: int,
    key: ModelKey = KEY,
    effective: Effective | None = None,
    **asked: Any,
) -> str:
    """A job in progress, of documents with these numbers in their texts; each has an id and a
    reference of its own."""
    given = [
        {"text": f"Text {number}. And {number}.", "id": f"{place}", "gold": f"r{place}"}
        for place, number in enumerate(numbers)
    ]
    request = Request(model=key.model, **{"shard_size": 256, **asked})
    documents = from_python(given, Columns("text", "id", "gold"))
    job_id = submit_documents(database, request, documents).job_id
    with database.transaction() as tx:
        validation = validations.lease(tx, job_id, "validator", LEASE)
        assert validation is not None
        assert validations.start(tx, validation, key, effective or Effective())
    return job_id


def rows(database: Database, job_id: str) -> list[dict[str, Any]]:
    with database.transaction() as tx:
        return summaries.page(tx, job_id, -1, 1000)


# --- in one window


def test_each_text_of_a_window_goes_through_the_model_once(database: Database, work: Work) -> None:
    engine = Recording()
    one = started(database, 1, 2, 1, 3, 2, 1)
    two = started(database, 3, 4, shard_size=1)
    work(engine)
    assert engine.batches == [[1, 2, 3, 4]]
    found = rows(database, one)
    assert [row["summary"] for row in found] == [f"Text {n}." for n in (1, 2, 1, 3, 2, 1)]
    assert [row["id"] for row in found] == [*"012345"]
    assert [row["reference"] for row in found] == [f"r{n}" for n in range(6)]
    assert {row["finish_reason"] for row in found} == {"stop"}
    assert {row["input_tokens"] for row in found} == {4}
    a, b = record(database, one), record(database, two)
    assert (a.completed, a.reused, b.completed, b.reused) == (6, 3, 2, 1)
    assert (a.input_tokens, b.input_tokens) == (3 * 4, 4), "only what the model has read"


def test_a_job_whose_texts_are_all_anothers_is_over(
    database: Database, broker: Broker, work: Work
) -> None:
    """Its shards have nothing in any batch."""
    one, two = started(database, 1, 2), started(database, 2, 1, 2, shard_size=1)
    work(Recording())
    dispatch.fill(database, broker, TIMINGS)
    for job_id, reused in ((one, 0), (two, 3)):
        found = record(database, job_id)
        assert (found.status, found.reused, found.total) == ("completed", reused, found.completed)
    assert record(database, two).input_tokens == 0


def test_what_fails_fails_for_all_with_that_text(database: Database, work: Work) -> None:
    class Refusing(Recording):
        def generate(
            self, batch: Sequence[list[int]], effective: Effective, seeds: Sequence[int]
        ) -> list[Generated]:
            made = super().generate(batch, effective, seeds)
            if 5 in self.batches[-1]:
                raise ValueError("no")
            return made

    engine = Refusing()
    one, two = started(database, 5, 6, 5), started(database, 5, 7)
    work(engine)
    assert [batch for batch in engine.batches if 5 in batch][-1] == [5]
    assert engine.batches.count([5]) == 1
    assert failed(database, one) == {0: "generation_failed", 2: "generation_failed"}
    assert failed(database, two) == {0: "generation_failed"}
    messages = [row["error"]["message"] for row in rows(database, one) if row["error"]]
    assert messages == ["document 0: ValueError: no", "document 2: ValueError: no"]
    found = record(database, one)
    assert (found.completed, found.failed, found.reused) == (1, 2, 0)


@pytest.mark.parametrize("long_documents", ["truncate", "map-reduce"])
def test_a_job_that_is_paused_leaves_its_texts_to_the_others(
    database: Database, work: Work, long_documents: str
) -> None:
    effective = Effective(max_input_tokens=3, long_documents=long_documents)
    paused = started(database, *range(12), effective=effective)
    other = started(database, *range(12), *range(12), effective=effective)

    class Pausing(Recording):
        def generate(
            self, batch: Sequence[list[int]], effective: Effective, seeds: Sequence[int]
        ) -> list[Generated]:
            if not self.batches:
                with database.transaction() as tx:
                    assert control.pause(tx, paused)
            return super().generate(batch, effective, seeds)

    work(Pausing())
    done, found = record(database, paused), record(database, other)
    assert done.completed < 12
    assert (found.completed, found.failed) == (24, 0)
    assert found.reused == 12 + done.completed
    with database.transaction() as tx:
        assert control.resume(tx, paused)
    engine = Recording()
    work(engine)
    assert engine.batches == []
    done = record(database, paused)
    assert (done.completed, done.completed - done.reused) == (12, found.reused - 12)
    texts = [row["summary"] for row in rows(database, other)]
    assert [row["summary"] for row in rows(database, paused)] == texts[:12] == texts[12:]


def test_a_shard_that_can_not_be_tokenized_leaves_its_texts_to_the_others(
    database: Database, work: Work
) -> None:
    class Unreadable(Recording):
        def encode(self, texts: Sequence[str], effective: Effective) -> list[Encoded]:
            if any("Text 9." in text for text in texts):
                raise RuntimeError("no")
            return super().encode(texts, effective)

    engine = Unreadable()
    bad, good = started(database, 1, 9, 2), started(database, 2, 1, 3)
    work(engine)
    assert sorted(engine.batches[0]) == [1, 2, 3]
    assert (record(database, bad).completed, record(database, good).completed) == (0, 3)


# --- deaths


class Poisoned(Recording):
    """A document kills who takes it up."""

    def generate(
        self, batch: Sequence[list[int]], effective: Effective, seeds: Sequence[int]
    ) -> list[Generated]:
        made = super().generate(batch, effective, seeds)
        if 3 in self.batches[-1]:
            raise Died
        return made


def test_a_text_that_kills_is_tried_as_often_as_one_document(
    database: Database, next_child: NextChild
) -> None:
    job_id = started(database, 3, 1, 3, 2, 1, 3)
    assert count_deaths(next_child, Poisoned()) == 1 + 3
    assert failed(database, job_id) == dict.fromkeys((0, 2, 5), "worker_died")
    found = record(database, job_id)
    assert (found.completed, found.reused, found.failed) == (3, 1, 3)
    messages = [row["error"]["message"] for row in rows(database, job_id) if row["error"]]
    assert [message.partition(":")[0] for message in messages] == [
        f"document {index}" for index in (0, 2, 5)
    ]


def test_what_waited_for_one_that_died_is_done(database: Database, next_child: NextChild) -> None:
    """Nothing is lost, and nothing is stored twice: here once, by an outage, say."""

    class DiesOnce(Recording):
        def generate(
            self, batch: Sequence[list[int]], effective: Effective, seeds: Sequence[int]
        ) -> list[Generated]:
            made = super().generate(batch, effective, seeds)
            if len(self.batches) == 1:
                raise Died
            return made

    one, two = started(database, 1, 2, 1), started(database, 2, 1)
    assert count_deaths(next_child, DiesOnce()) == 1
    assert (record(database, one).completed, record(database, two).completed) == (3, 2)
    assert (record(database, one).failed, record(database, two).failed) == (0, 0)


# --- across windows, and jobs


def test_a_second_job_is_all_reused(database: Database, work: Work) -> None:
    first = started(database, *range(20))
    work(Recording())
    engine = Recording()
    second = started(database, *range(19, -1, -1), 50, effective=Effective(seed=7), shard_size=7)
    work(engine)
    assert engine.batches == [[50]]
    found = record(database, second)
    assert (found.completed, found.reused) == (21, 20)
    texts = [row["summary"] for row in rows(database, second)]
    assert texts[:20] == [row["summary"] for row in rows(database, first)][::-1]
    assert [row["id"] for row in rows(database, second)] == [str(n) for n in range(21)]


def test_a_window_that_was_read_before_the_one_before_it_was_stored(
    database: Database, work: Work
) -> None:
    engine = Recording(most=128)
    job_id = started(database, *range(256), *range(256))
    work(engine)
    assert sum(map(len, engine.batches)) == 256
    found = record(database, job_id)
    assert (found.completed, found.reused) == (512, 256)


@pytest.mark.parametrize(("key", "effective"), [other[1:] for other in OTHERS])
def test_other_summaries_are_not_shared(
    database: Database, work: Work, key: ModelKey, effective: Effective
) -> None:
    started(database, 1, 2)
    work(Recording())
    engine = Recording()
    job_id = started(database, 1, 2, key=key, effective=effective)
    work(engine)
    assert engine.batches == [[1, 2]]
    assert record(database, job_id).reused == 0


@pytest.mark.parametrize(
    ("effective", "asked"),
    [(Effective(generation={"do_sample": True}), {}), (Effective(), {"reuse": False})],
    ids=["sampling", "no reuse"],
)
def test_what_shares_nothing(
    database: Database, work: Work, effective: Effective, asked: dict[str, Any]
) -> None:
    """Neither with itself, nor before, nor after."""
    started(database, 1, effective=effective)
    work(Recording())
    for again in (asked, {}):
        engine = Recording()
        job_id = started(database, 1, 2, 1, effective=effective, **asked)
        work(engine)
        assert engine.batches == [[1, 2, 1]], again
        assert record(database, job_id).reused == 0


def test_of_a_purged_job_its_copies_are_left(database: Database, work: Work) -> None:
    first, second = started(database, 1), started(database, 1)
    work(Recording())
    with database.transaction() as tx:
        tx.exec_driver_sql("DELETE FROM jobs WHERE id = %s", (first,))
    engine = Recording()
    third = started(database, 1)
    work(engine)
    assert engine.batches == []
    assert record(database, third).reused == record(database, second).reused == 1


def test_a_retry_leaves_what_was_reused(database: Database, broker: Broker, work: Work) -> None:
    started(database, 1)
    work(Recording())

    class Refusing(Recording):
        def generate(
            self, batch: Sequence[list[int]], effective: Effective, seeds: Sequence[int]
        ) -> list[Generated]:
            raise ValueError

    job_id = started(database, 1, 2)
    work(Refusing())
    dispatch.fill(database, broker, TIMINGS)
    found = record(database, job_id)
    assert (found.status, found.completed, found.failed, found.reused) == ("completed", 1, 1, 1)
    with database.transaction() as tx:
        assert control.retry(tx, job_id, None) is not None
    work(Recording())
    dispatch.fill(database, broker, TIMINGS)
    found = record(database, job_id)
    assert (found.status, found.completed, found.failed, found.reused) == ("completed", 2, 0, 1)


def test_nobody_is_charged_for_what_is_reused(database: Database, work: Work) -> None:
    started(database, 1)
    work(Recording())
    started(database, 1, 1, 2, labels={"user": "ann"}, fair_by="user")
    work(Recording())
    with database.transaction() as tx:
        found = tx.exec_driver_sql("SELECT fair_group, tokens FROM fair_shares")
        shares = {row.fair_group: row.tokens for row in found}
    assert shares["user=ann"] - shares[""] == shares[""] == 4 + 2


def test_one_look_up_however_often_a_text_is_stored(database: Database, work: Work) -> None:
    started(database, *[1] * 300)
    work(Recording())
    with database.transaction() as tx:
        found_as = "SELECT DISTINCT replace(digest::text, '-', '') FROM summaries"
        digest = tx.exec_driver_sql(found_as).scalar_one()
        found = summaries.same(tx, {digest})
        assert summaries.same(tx, set()) == {}
    assert list(found) == [digest]


def test_a_text_that_is_not_there_is_looked_up_in_the_index(database: Database) -> None:
    """Not in the whole table, though PostgreSQL knows that one text is repeated all over it."""
    job_id = started(database, 1)
    with database.transaction() as tx:
        tx.exec_driver_sql(
            "INSERT INTO summaries "
            "(job_id, index, summary, input_tokens, output_tokens, truncated, digest) "
            f"SELECT '{job_id}', i, 'Text 1.', 4, 2, false, md5('1')::uuid "
            "FROM generate_series(1, 5000) AS i"
        )
        tx.exec_driver_sql("ANALYZE summaries")
        before = _read_one_by_one(tx)
        assert summaries.same(tx, {f"{number:032x}" for number in range(20)}) == {}
        assert _read_one_by_one(tx) == before


def _read_one_by_one(tx: Transaction) -> int:
    """Rows of summaries that this transaction has read without an index."""
    counted = "SELECT pg_stat_get_xact_tuples_returned('summaries'::regclass)"
    return int(tx.exec_driver_sql(counted).scalar_one())

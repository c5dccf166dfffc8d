"""Long documents in parts: which share batches, survive who did them, and end as one row."""

from collections import Counter
from collections.abc import Sequence

from jobs.database import Database
from jobs.documents import Columns
from jobs.job import Part, Portion, Row
from jobs.parameters import Effective, LongDocuments
from jobs.store import control, parts, shards, summaries, validations
from jobs.store.parts import kept
from producer.submit import Request, from_python, submit_documents
from tests.children import Died, NextChild, Recording, count_deaths, record
from tests.leases import KEY, LEASE, lease, stored
from worker.engines import Generated

# Of 24 words, and each part of 8 comes to 4: 3 parts, 12 words, 2 parts, 8 words.
_LONG = "Text {0} b c. And more of it."


def long(number: int, times: int = 3) -> str:
    return " ".join(_LONG.format(number) for _ in range(times))


def started(
    database: Database, *texts: str, limit: int = 8, fate: LongDocuments = "map-reduce"
) -> str:
    """A job in progress."""
    request = Request(model=KEY.model, shard_size=256)
    job_id = submit_documents(database, request, from_python(texts, Columns())).job_id
    effective = Effective(max_input_tokens=limit, long_documents=fate)
    with database.transaction() as tx:
        validation = validations.lease(tx, job_id, "validator", LEASE)
        assert validation is not None
        assert validations.start(tx, validation, KEY, effective)
    return job_id


def found(database: Database, job_id: str) -> list[dict[str, object]]:
    with database.transaction() as tx:
        return summaries.page(tx, job_id, -1, 100)


def left(database: Database, job_id: str) -> list[Part]:
    with database.transaction() as tx:
        return kept(tx, job_id, 0, 100)


def test_parts_and_short_documents_share_batches(database: Database, next_child: NextChild) -> None:
    one = started(database, long(1), "2 short.", long(3))
    other = started(database, long(4))
    engine = Recording()
    next_child(engine)()
    first, second, *later = engine.batches
    assert sorted(first + second) == [1, 1, 1, 2, 3, 3, 3, 4, 4, 4]
    assert [sorted(batch) for batch in later] == [[1, 1, 3, 3, 4, 4], [1, 3, 4]]
    rows = found(database, one) + found(database, other)
    assert [row["summary"] for row in rows] == [
        "Text 1 b c.",
        "2 short.",
        "Text 3 b c.",
        "Text 4 b c.",
    ]
    assert [row["depth"] for row in rows] == [2, 0, 2, 2]
    assert rows[0]["spans"] == [[0, 27], [28, 55], [56, 83]]
    assert rows[1]["spans"] is None
    assert [row["truncated"] for row in rows] == [False] * 4
    # 3 parts of 8 words, then one of 8 and one of 4, then 8; each comes to 4 of them.
    assert [(row["input_tokens"], row["output_tokens"]) for row in rows[:2]] == [(44, 24), (2, 2)]
    assert record(database, one).completed == 3
    assert record(database, one).input_tokens == 44 + 2 + 44
    assert left(database, one) == []


class Dying(Recording):
    """Dies in these of its batches, counted from 0, over all children."""

    def __init__(self, *deaths: int, most: int = 8) -> None:
        super().__init__(most=most)
        self._deaths = deaths
        self.finished: Counter[str] = Counter()

    def generate(
        self, batch: Sequence[list[int]], effective: Effective, seeds: Sequence[int]
    ) -> list[Generated]:
        made = super().generate(batch, effective, seeds)
        if len(self.batches) - 1 in self._deaths:
            raise Died
        self.finished.update("".join(map(chr, ids)) for ids in batch)
        return made


def test_parts_that_are_done_survive(database: Database, next_child: NextChild) -> None:
    """Whatever was stored when a worker dies is not done again, at any depth."""
    text = " ".join(f"Text {number} b c. And more of it." for number in range(10, 22))
    whole = started(database, text)
    next_child(Dying())()
    [expected] = found(database, whole)
    with database.transaction() as tx:
        tx.exec_driver_sql("DELETE FROM jobs")
    job_id = started(database, text)
    # 12 parts in 6 batches; then 6, 3, 2 and 1. A suspect's parts are done one by one.
    engine = Dying(3, 8, 15, most=2)
    assert count_deaths(next_child, engine) == 3
    assert found(database, job_id) == [expected]
    assert expected["depth"] == 4
    # What is being stored when its worker dies may be lost; here it never is.
    assert set(engine.finished.values()) == {1}
    assert left(database, job_id) == []


def test_a_document_in_parts_is_not_given_up_while_it_gets_on(
    database: Database, next_child: NextChild
) -> None:
    """Though more workers die of it, alone, than one that does not may cost."""
    text = " ".join(f"Text {number} b c. And more of it." for number in range(10, 22))
    job_id = started(database, text, limit=32)
    engine = Dying(*range(0, 20, 2), most=1)
    assert count_deaths(next_child, engine) == 5
    assert [row["error"] for row in found(database, job_id)] == [None]


def test_a_part_that_kills_fails_its_document_alone(
    database: Database, next_child: NextChild
) -> None:
    class Poisoned(Recording):
        def generate(
            self, batch: Sequence[list[int]], effective: Effective, seeds: Sequence[int]
        ) -> list[Generated]:
            made = super().generate(batch, effective, seeds)
            if 5 in self.batches[-1]:
                raise Died
            return made

    poisoned = " ".join(f"Text {number} b c. And more of it." for number in (3, 4, 5, 6))
    job_id = started(database, long(1), poisoned, long(2), "7 short.")
    count_deaths(next_child, Poisoned())
    rows = found(database, job_id)
    assert [row["summary"] for row in rows] == ["Text 1 b c.", None, "Text 2 b c.", "7 short."]
    assert rows[1]["error"] == {
        "code": "worker_died",
        "message": "document 1: in hand, alone, each of the 3 times a worker died",
    }
    assert left(database, job_id) == []


def test_a_part_that_is_refused_fails_its_document(
    database: Database, next_child: NextChild
) -> None:
    class Refusing(Recording):
        def generate(
            self, batch: Sequence[list[int]], effective: Effective, seeds: Sequence[int]
        ) -> list[Generated]:
            made = super().generate(batch, effective, seeds)
            if 5 in self.batches[-1]:
                raise ValueError("no fives")
            return made

    refused = " ".join(f"Text {number} b c. And more of it." for number in (3, 5, 4, 5, 6))
    job_id = started(database, long(1), refused, long(2))
    engine = Refusing(most=4)
    next_child(engine)()
    rows = found(database, job_id)
    assert [row["summary"] for row in rows] == ["Text 1 b c.", None, "Text 2 b c."]
    assert rows[1]["error"] == {
        "code": "generation_failed",
        "message": "document 1, part 2: ValueError: no fives",
    }
    assert (rows[1]["depth"], rows[1]["spans"]) == (0, None)
    assert not any(6 in batch for batch in engine.batches), "what is left of it is dropped"
    assert record(database, job_id).failed == 1
    assert left(database, job_id) == []


def test_a_pause_keeps_what_is_done(database: Database, next_child: NextChild) -> None:
    text = " ".join(f"Text {number} b c. And more of it." for number in range(10, 22))
    job_id = started(database, text)

    class Pausing(Dying):
        def generate(
            self, batch: Sequence[list[int]], effective: Effective, seeds: Sequence[int]
        ) -> list[Generated]:
            if len(self.batches) == 1:
                with database.transaction() as tx:
                    assert control.pause(tx, job_id)
            return super().generate(batch, effective, seeds)

    engine = Pausing(most=2)
    next_child(engine)()
    assert len(engine.batches) == 2
    assert len(left(database, job_id)) == 4
    with database.transaction() as tx:
        assert control.resume(tx, job_id)
    next_child(engine)()
    assert set(engine.finished.values()) == {1}
    assert record(database, job_id).completed == 1


def test_those_that_shall_fail_do(database: Database, next_child: NextChild) -> None:
    job_id = started(database, long(1), "2 short.", fate="fail")
    engine = Recording()
    next_child(engine)()
    failed, done = found(database, job_id)
    assert engine.batches == [[2]]
    assert failed["error"] == {
        "code": "too_long",
        "message": "document 0 has 24 tokens, and 8 is the most that the model reads; choose "
        "--long-documents truncate or map-reduce",
    }
    assert done["summary"] == "2 short."
    with database.transaction() as tx:
        assert summaries.failures(tx, job_id, 1)[0].code == "too_long"


def test_out_of_many_parts_the_first_documents_come_first(
    database: Database, next_child: NextChild
) -> None:
    """Not all parts of a window before any summary of them."""
    job_id = started(database, *(long(number, times=100) for number in range(30)), limit=64)
    rows_after: list[int] = []

    class Looking(Recording):
        def generate(
            self, batch: Sequence[list[int]], effective: Effective, seeds: Sequence[int]
        ) -> list[Generated]:
            rows_after.append(len(found(database, job_id)))
            return super().generate(batch, effective, seeds)

    next_child(Looking(most=16))()
    assert record(database, job_id).completed == 30
    assert next(place for place, rows in enumerate(rows_after) if rows) < len(rows_after) * 0.7


# --- in SQL


def test_nothing_is_kept_by_whom_the_lease_was_lost(database: Database) -> None:
    job_id = started(database, long(1))
    mine = lease(database)
    made = [Part(0, 0, 0, 0, 23, "Text 1 b c.", 8, 4, truncated=False)]
    with database.transaction() as tx:
        tx.exec_driver_sql("UPDATE shards SET attempt = attempt + 1")
    with database.transaction() as tx:
        assert shards.store(tx, [Portion(mine, [], parts=made)], LEASE) == {}
    assert left(database, job_id) == []


def test_what_is_said_last_of_a_part_holds(database: Database) -> None:
    job_id = started(database, long(1))
    first = Part(0, 0, 0, 0, 23, "Text 1 b c.", 8, 4, truncated=False)
    other = Part(0, 0, 0, 0, 20, "Text 1 b.", 7, 3, truncated=False)
    with database.transaction() as tx:
        assert parts.keep(tx, job_id, [first]) == 1
        assert parts.keep(tx, job_id, [first]) == 0
        assert parts.keep(tx, job_id, [other]) == 1
    assert left(database, job_id) == [other]


def test_parts_go_with_their_document_and_with_their_job(database: Database) -> None:
    job_id = started(database, long(1), long(2))
    mine = lease(database)
    made = [Part(index, 0, 0, 0, 23, "Text 1 b c.", 8, 4, truncated=False) for index in (0, 1)]
    row = Row(0, None, "A summary.", 5, 2, False, "stop", None, None, None, 1, [(0, 23), (24, 71)])
    with database.transaction() as tx:
        parts.keep(tx, job_id, made)
        assert stored(tx, mine, [row], done=False)
    assert [part.index for part in left(database, job_id)] == [1]
    assert found(database, job_id)[0]["spans"] == [[0, 23], [24, 71]]
    with database.transaction() as tx:
        tx.exec_driver_sql("DELETE FROM jobs")
    assert left(database, job_id) == []


def test_suspects_get_on_and_end_in_one_portion(database: Database) -> None:
    """Of three, one is over with its last part, one with no part, and one got on."""
    started(database, long(0), long(1), long(2))
    with database.transaction() as tx:
        tx.exec_driver_sql("""UPDATE shards SET suspects = '{"0": 1, "1": 2, "2": 2}'""")
    mine = lease(database)
    made = [Part(index, 0, 0, 0, 23, "", 8, 1, truncated=False) for index in (0, 2)]
    rows = [Row(index, None, "", 5, 2, False, "stop", None, None, None) for index in (0, 1)]
    with database.transaction() as tx:
        assert shards.store(tx, [Portion(mine, rows, parts=made)], LEASE) == {mine.id: rows}
        assert tx.exec_driver_sql("SELECT suspects FROM shards").scalar_one() == {"2": 0}

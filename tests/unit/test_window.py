"""Which shards are worked through together, who is told of a batch, and what each one gets."""

from typing import Any

import pytest

from jobs.documents import Document
from jobs.job import ModelKey, Shard
from jobs.parameters import Effective
from worker import window
from worker.batching import Bounds
from worker.engines import Encoded
from worker.items import Item, Written
from worker.window import Spent, Window

KEY = ModelKey("model", "1", "transformers", "float32")


def shard(number: int, **known: Any) -> Shard:
    fields: dict[str, Any] = {
        "id": number,
        "job_id": "job_a",
        "number": number,
        "start": 4 * number,
        "stop": 4 * number + 4,
        "position": None,
        "attempt": 1,
        "deaths": 0,
        "false_starts": 0,
        "vanished": 0,
        "alone": False,
        "suspects": {},
        "tries": 0,
        "source": {"kind": "inline"},
        "key": KEY,
        "effective": Effective(),
        "fair_group": "",
        "priority": 0,
    }
    return Shard(**{**fields, **known})


def item(of: Shard, index: int, tokens: int) -> Item:
    return Item(of.id, Document(index, "text"), Encoded([1] * tokens, tokens, truncated=False))


WRITTEN = Written("A summary.", 2, "stop")


def a_window(batches: list[list[Item]], *shards: Shard) -> Window:
    bounds = Bounds(max_num_seqs=4, max_num_batched_tokens=100)
    items = [each for batch in batches for each in batch]
    made = Window(KEY, Effective(), False, list(shards), [], items, bounds)
    made.items, made.batches = [], batches
    return made


def test_the_first_batch_is_told_to_all_and_the_next_to_whom_it_concerns() -> None:
    """Whoever is only held meanwhile must not take a death for a false start."""
    one, two, three = shard(1), shard(2), shard(3)
    batches = [[item(one, 4, 9), item(two, 8, 9)], [item(two, 9, 9)], [item(three, 12, 9)]]
    current = a_window(batches, one, two, three)
    assert current.to_announce(batches[0]) == ([one, two, three], {1: [4], 2: [8]})
    assert current.to_announce(batches[1]) == ([one, two], {2: [9]})
    assert current.to_announce(batches[2]) == ([two, three], {3: [12]})


def test_each_shard_gets_its_rows_and_its_share() -> None:
    one, two = shard(1), shard(2)
    batch = [item(one, 4, 20), item(two, 8, 12), item(two, 9, 10), item(two, 10, 18)]
    current = a_window([batch, [item(one, 5, 5)]], one, two)
    first, second = current.portions([(each, WRITTEN) for each in batch], Spent(1.0, 8.0))
    assert (first.shard, [row.index for row in first.rows], first.done) == (one, [4], False)
    assert (second.shard, [row.index for row in second.rows], second.done) == (
        two,
        [8, 9, 10],
        True,
    )
    assert (first.batching.waiting_seconds, first.batching.generating_seconds) == (0.25, 2.0)
    assert (second.batching.batched_tokens, second.batching.padding_tokens) == (60, 20)
    assert first.batching.batches + second.batching.batches == 1
    assert first.batching.batch_fill + second.batching.batch_fill == 1, "4 of 4 documents"


def test_nothing_more_is_done_of_what_is_given_up() -> None:
    one, two = shard(1), shard(2)
    current = a_window([[item(one, 4, 9), item(two, 8, 9)], [item(one, 5, 9)]], one, two)
    current.give_up({1})
    assert current.shards == [two]
    assert [[each.document.index for each in batch] for batch in current.batches] == [[8]]


@pytest.mark.parametrize(
    ("documents", "longest", "fill"), [(4, 5, 1.0), (2, 5, 0.5), (2, 40, 0.8), (1, 400, 1.0)]
)
def test_how_full_a_batch_is(documents: int, longest: int, fill: float) -> None:
    """Of what bounds it most."""
    assert Bounds(4, 100).fill(documents, longest) == fill


def test_where_only_documents_are_bounded_there_is_no_padding() -> None:
    one = shard(1)
    batch = [item(one, 4, 20), item(one, 5, 10)]
    current = a_window([batch], one)
    current.bounds = Bounds(4, None)
    [portion] = current.portions([(each, WRITTEN) for each in batch], Spent(0.0, 1.0))
    assert (portion.batching.batched_tokens, portion.batching.padding_tokens) == (0, 0)
    assert portion.batching.batch_fill == 0.5


def test_deaths_halve_what_a_batch_may_hold() -> None:
    class Engine:
        max_num_seqs = 64
        max_num_batched_tokens = 4096

        def seqs_per_document(self, effective: Effective) -> int:
            return 4

    engine: Any = Engine()
    assert window.bounds(engine, Effective(), 0) == Bounds(16, 4096)
    assert window.bounds(engine, Effective(), 1) == Bounds(4, 1024)
    assert window.bounds(engine, Effective(), 9) == Bounds(1, 1)

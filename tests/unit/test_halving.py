"""What the model refuses, and what it has no memory for."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from itertools import count

import pytest

from jobs.documents import Document
from jobs.parameters import Effective
from worker import rows
from worker.engines import DeviceLost, Generated, OutOfMemory
from worker.engines.lead import LeadEngine
from worker.halving import Halving
from worker.items import Item

EFFECTIVE = Effective()


class Refusing(LeadEngine):
    """Raises what `refuse` finds wrong with the lengths of a batch; notes the others' sizes."""

    def __init__(self, refuse: Callable[[list[int]], Exception | None]) -> None:
        super().__init__(1)
        self.refused: list[int] = []
        self.done: list[int] = []
        self._refuse = refuse

    def generate(
        self, batch: Sequence[list[int]], effective: Effective, seeds: Sequence[int]
    ) -> list[Generated]:
        error = self._refuse([len(ids) for ids in batch])
        (self.refused if error else self.done).append(len(batch))
        if error:
            raise error
        return super().generate(batch, effective, seeds)


def test_what_the_model_refuses_fails_alone() -> None:
    def seven(lengths: list[int]) -> Exception | None:
        return RuntimeError("index out of range\nin self") if 7 in lengths else None

    codes, message = _generate(Refusing(seven), [[*range(1, 17)]])
    assert codes == {6: "generation_failed"}
    assert message == "document 6: RuntimeError: index out of range"


@pytest.mark.parametrize("error", [OutOfMemory("tried to allocate 1 GiB"), MemoryError()])
def test_a_batch_that_needs_too_much_memory_is_halved(error: Exception) -> None:
    """Once: the next batches begin with the size that was found."""
    engine = Refusing(lambda lengths: error if len(lengths) > 3 else None)
    codes, _ = _generate(engine, [[10] * 16, [10] * 16, [9] * 16])
    assert codes == {}
    assert engine.refused == [16, 8, 4]
    assert sum(engine.done) == 48
    assert max(engine.done) == 2


def test_shorter_documents_may_be_more() -> None:
    """What is too much is a number of tokens, padding included."""
    engine = Refusing(lambda lengths: OutOfMemory() if len(lengths) * max(lengths) > 40 else None)
    codes, _ = _generate(engine, [[10] * 8, [2] * 16])
    assert codes == {}
    assert engine.refused == [8]
    assert engine.done == [4, 4, 16]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OutOfMemory("tried to allocate 1 GiB"), "OutOfMemory: tried to allocate 1 GiB"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_a_document_that_needs_too_much_memory_alone(error: Exception, said: str) -> None:
    engine = Refusing(lambda lengths: error if 50 in lengths else None)
    codes, message = _generate(engine, [[50, 10, 10, 10], [10, 10]])
    assert codes == {0: "out_of_memory"}
    assert message == f"document 0: {said}"


def test_batches_to_come_are_cut_to_what_was_found() -> None:
    """Each part is a batch of its own: written down, and stored, by itself."""
    engine = Refusing(lambda lengths: OutOfMemory() if sum(lengths) > 40 else None)
    halving = Halving(engine, EFFECTIVE, nullcontext)
    first, *others = _batches(engine, [[10] * 8, [10] * 8, [40]])
    assert halving.within_room(others) == others
    halving.generate(first)
    assert [len(part) for part in halving.within_room(others)] == [4, 4, 1]


def test_later_shards_and_jobs_keep_within_what_was_found() -> None:
    """Each window has a halving of its own; the engine is the same."""
    engine = Refusing(lambda lengths: OutOfMemory() if sum(lengths) > 40 else None)
    _generate(engine, [[10] * 8])
    assert engine.max_num_batched_tokens == 40
    _generate(engine, [[10] * 16])
    assert engine.refused == [8], "nothing is tried again that was too large"
    assert engine.done == [4] * 6


def test_a_document_that_is_too_large_alone_makes_no_batch_smaller() -> None:
    engine = Refusing(lambda lengths: OutOfMemory() if 50 in lengths else None)
    _generate(engine, [[50]])
    assert engine.max_num_batched_tokens is None


def test_whatever_a_model_raises_is_put_down_to_a_document() -> None:
    codes, message = _generate(
        Refusing(lambda lengths: KeyError("x") if 50 in lengths else None), [[50, 10, 10]]
    )
    assert codes == {0: "generation_failed"}
    assert message == "document 0: KeyError: 'x'"


def test_a_device_that_is_lost_passes_through() -> None:
    with pytest.raises(DeviceLost):
        _generate(Refusing(lambda _: DeviceLost()), [[10, 10]])


def _generate(engine: LeadEngine, batches: list[list[int]]) -> tuple[dict[int, str], str | None]:
    """Documents of these lengths: the codes of those that fail, and a message."""
    halving = Halving(engine, EFFECTIVE, nullcontext)
    made = [pair for batch in _batches(engine, batches) for pair in halving.generate(batch)]
    found = [rows.of(*pair) for pair in made]
    assert sorted(row.index for row in found) == [*range(sum(map(len, batches)))]
    codes = {row.index: row.error_code for row in found if row.error_code}
    return codes, next((row.error_message for row in found if row.error_code), None)


def _batches(engine: LeadEngine, batches: list[list[int]]) -> list[list[Item]]:
    """Documents of these lengths, numbered through."""
    numbers = count()
    made = []
    for lengths in batches:
        documents = [Document(next(numbers), "x" * length) for length in lengths]
        encoded = engine.encode([document.text or "" for document in documents], EFFECTIVE)
        made.append([Item(1, *pair) for pair in zip(documents, encoded, strict=True)])
    return made

"""How much a batch may hold: what is measured of it, and what is kept."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.job import ModelKey
from jobs.parameters import Effective
from worker import budget
from worker.budget import Budget, Budgets
from worker.engines import Encoded, Generated, OutOfMemory
from worker.engines.lead import LeadEngine

KEY = ModelKey("model", "1", "native", "float32")
FOUND = Budget(max_num_batched_tokens=2048, max_num_seqs=32)

Seconds = Callable[[int, int, int], float]


class Timed(LeadEngine):
    """Takes `seconds` of documents, tokens of each and new tokens on a clock of its own."""

    max_num_batched_tokens: int | None = 4096

    def __init__(self, seconds: Seconds) -> None:
        super().__init__(1, max_num_seqs=64)
        self.now = 0.0
        self.sizes: list[int] = []
        self._seconds = seconds

    def encode(self, texts: Sequence[str], effective: Effective) -> list[Encoded]:
        lengths = [len(text.split()) for text in texts]
        return [Encoded([1] * length, length, truncated=False) for length in lengths]

    def generate(
        self, batch: Sequence[list[int]], effective: Effective, seeds: Sequence[int]
    ) -> list[Generated]:
        assert len(batch) == len(seeds)
        new = effective.generation["max_new_tokens"]
        self.sizes.append(len(batch) * len(batch[0]))
        self.now += self._seconds(len(batch), len(batch[0]), new)
        return []


def cost(by_size: dict[int, float], a_row: float = 0.001) -> Seconds:
    """Seconds by the padded token for each size of a probe; rows for what is small."""

    def seconds(documents: int, tokens: int, new: int) -> float:
        size = documents * tokens
        return size * by_size[size] if size in by_size else documents * 4 * new * a_row

    return seconds


def by_clock(seconds: Seconds) -> tuple[Budget | None, list[int]]:
    engine = Timed(seconds)
    found = budget.by_clock(engine, lambda: engine.now)
    return found, [size for size in engine.sizes if size >= 1024]


FLAT = dict.fromkeys((1024, 4096, 8192), 0.0001)


@pytest.mark.parametrize(
    ("by_size", "tokens"),
    [
        (FLAT, 4096),
        (FLAT | {1024: 0.00005}, 4096),
        (FLAT | {8192: 0.000098}, 4096),
        (FLAT | {8192: 0.00008}, 8192),
    ],
)
def test_more_tokens_where_that_is_faster_and_never_fewer(
    by_size: dict[int, float], tokens: int
) -> None:
    found, _ = by_clock(cost(by_size))
    assert found is not None
    assert found.max_num_batched_tokens == tokens


def test_what_there_is_no_time_for_stays_as_it_was() -> None:
    """4,096 tokens would take 10 s here."""
    found, sizes = by_clock(cost({1024: 0.0025}))
    assert found is not None
    assert sizes == [1024]
    assert found.max_num_batched_tokens == 4096


def test_a_slow_model_gets_fewer_tokens_and_rows() -> None:
    """A batch must end well before its deadline: 120 s by 0.05 s a token and 0.1 s a row."""
    found, sizes = by_clock(cost({1024: 0.05}, a_row=0.1))
    assert found == Budget(max_num_batched_tokens=2048, max_num_seqs=4)
    assert sizes == [1024]


def test_rows_are_as_many_as_a_batch_has_time_for() -> None:
    assert [(by_clock(cost(FLAT, a_row))[0] or FOUND).max_num_seqs for a_row in (0.001, 0.006)] == [
        256,
        64,
    ]


def test_a_small_model_is_not_measured() -> None:
    assert by_clock(cost(FLAT, a_row=0.0001)) == (None, [])


def test_memory_is_shared_by_tokens_and_rows() -> None:
    """16 documents of 256 tokens take 160 MB: 10 MB each, and 8 GB of 10 are to be filled."""
    calls: list[str] = []
    cuda = SimpleNamespace(
        reset_peak_memory_stats=lambda _: calls.append("reset"),
        memory_allocated=lambda _: 1_000_000_000,
        max_memory_allocated=lambda _: 1_160_000_000,
        empty_cache=lambda: calls.append("empty"),
        mem_get_info=lambda _: (10_000_000_000, 16_000_000_000),
    )
    found = budget.by_memory(Timed(cost(FLAT)), cuda, "cuda:0")
    assert found == Budget(max_num_batched_tokens=65536, max_num_seqs=400)
    assert calls == ["reset", "empty"], "what torch keeps for itself counts as free"
    cuda.mem_get_info = lambda _: (100_000_000, 16_000_000_000)
    found = budget.by_memory(Timed(cost(FLAT)), cuda, "cuda:0")
    assert found == Budget(max_num_batched_tokens=4 * 256, max_num_seqs=4)


def never(*_: object) -> Budget:
    raise AssertionError("measured again")


def settled(folder: Path, measure: Any, key: ModelKey = KEY) -> tuple[int | None, int]:
    engine = Timed(cost(FLAT))
    Budgets(folder, "cpu").settle(key, engine, measure)
    return engine.max_num_batched_tokens, engine.max_num_seqs


def test_a_budget_is_measured_once(tmp_path: Path) -> None:
    folder = tmp_path / "home" / "budgets"
    assert settled(folder, lambda *_: FOUND) == (2048, 32)
    assert settled(folder, never) == (2048, 32)
    [file] = folder.iterdir()
    assert '"of": "model: 1 native float32 cpu ' in file.read_text()


def test_each_dtype_has_its_own(tmp_path: Path) -> None:
    settled(tmp_path, lambda *_: FOUND)
    other = ModelKey("model", "1", "native", "bfloat16")
    assert settled(tmp_path, lambda *_: None, other) == (4096, 64)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"max_num_batched_tokens": 0}', "\0"])
def test_a_damaged_file_is_measured_anew(tmp_path: Path, damage: str) -> None:
    settled(tmp_path, lambda *_: FOUND)
    [file] = tmp_path.iterdir()
    file.write_text(damage)
    assert settled(tmp_path, lambda *_: FOUND) == (2048, 32)
    assert settled(tmp_path, never) == (2048, 32)


def test_where_it_can_not_be_kept_it_holds_for_this_process(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert settled(tmp_path / "file" / "budgets", lambda *_: FOUND) == (2048, 32)


def test_a_model_that_refuses_keeps_its_defaults(tmp_path: Path) -> None:
    def refuse(*_: object) -> Budget:
        raise OutOfMemory

    assert settled(tmp_path, refuse) == (4096, 64)
    assert not [*tmp_path.iterdir()]


def test_lead_needs_none(tmp_path: Path) -> None:
    Budgets(tmp_path, "cpu").settle(KEY, LeadEngine(1), never)

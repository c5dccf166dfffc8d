"""How much one batch may hold: measured when a model is first loaded on a device, and kept.

On a CPU by the clock, on a GPU by its memory. Chooses no batch (`worker.batching`) and loads no
model. The two numbers end up in the engine's `max_num_batched_tokens` and `max_num_seqs`, which
windows are planned with.

That of GPUs was never run on one; its test has a stand-in for `torch.cuda`.
"""

import json
import platform
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile
from time import perf_counter
from typing import Any

from pydantic import BaseModel, ConfigDict, PositiveInt

from jobs import logs
from jobs.job import ModelKey
from jobs.parameters import Effective
from worker.engines import MODEL_ERRORS, Engine, OutOfMemory

log = logs.get("budget")

_TOKENS = 256
"""In each document of a probe."""
_BEAMS = 4
_SIZES = (1024, 4096, 8192)
_SECONDS = 6.0
"""That the sizes may take on a CPU, together. They do for a model of 60M parameters."""
_AS_FAST = 1.05
"""What takes so much longer by the token is still as fast: as much lies between two runs."""

# A row of a step that takes less is of a model so small that the size of a batch decides
# nothing, and a probe would take longer than loading it.
_SMALL_MODEL = 0.0004
# A fifth of the deadline of a batch, at as many steps as summaries are long.
_BATCH_SECONDS = 120.0
_STEPS = 256
_FEWEST_SEQS, _MOST_SEQS = 4, 256

# What else is allocated beside what the probe saw: other lengths, longer summaries.
_MARGIN = 0.8
_MOST_TOKENS_BY_MEMORY = 65536
_MOST_SEQS_BY_MEMORY = 512


class Budget(BaseModel):
    """Of one model, engine, dtype and device."""

    model_config = ConfigDict(frozen=True, strict=True)

    max_num_batched_tokens: PositiveInt
    max_num_seqs: PositiveInt


class Budgets:
    """Those of one device, kept in `folder` (made when it is needed), a file each.

    Workers share the folder: a file is replaced as a whole. One that is damaged or can not be
    written costs a log line and the next measurement, no work.
    """

    def __init__(self, folder: Path, device: str) -> None:
        self._folder = folder
        self._device = device

    def settle(
        self, key: ModelKey, engine: Engine, measure: Callable[[Engine, str], Budget | None]
    ) -> None:
        """Give an engine, just loaded, the budget that is kept for it, or measure it."""
        if engine.max_num_batched_tokens is None:
            return
        budget = self._read(key) or self._measured(key, engine, measure)
        if budget is not None:
            engine.max_num_batched_tokens = budget.max_num_batched_tokens
            engine.max_num_seqs = budget.max_num_seqs

    def _measured(
        self, key: ModelKey, engine: Engine, measure: Callable[[Engine, str], Budget | None]
    ) -> Budget | None:
        """None, and the engine's defaults stay, where the model is too small or refuses."""
        try:
            budget = measure(engine, self._device)
        except (OutOfMemory, MemoryError, *MODEL_ERRORS) as error:
            log.warning("no budget could be measured; the defaults stay", error=error)
            return None
        if budget is not None:
            log.info("measured how much a batch may hold", **budget.model_dump())
            self._write(key, budget)
        return budget

    def _read(self, key: ModelKey) -> Budget | None:
        path = self._path(key)
        try:
            return Budget.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            # Not what is in it, which may be anything.
            log.warning("a budget can not be read, and is measured anew", file=str(path))
            return None

    def _write(self, key: ModelKey, budget: Budget) -> None:
        path = self._path(key)
        # For who looks into the folder: the file's name is a hash.
        written = {**budget.model_dump(), "of": f"{key.model}: {self._name(key)}"}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
                json.dump(written, file)
            Path(file.name).replace(path)
        except OSError as error:
            log.warning("a budget can not be kept", file=str(path), error=error)

    def _path(self, key: ModelKey) -> Path:
        return self._folder / f"{sha256(self._name(key).encode()).hexdigest()[:24]}.json"

    def _name(self, key: ModelKey) -> str:
        return f"{key.revision} {key.engine} {key.dtype} {device_name(self._device)}"


def device_name(device: str) -> str:
    """What the same measurement holds for: a GPU's name, or the processor's and its threads."""
    import torch

    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"{device} {_processor()} {torch.get_num_threads()} threads"


def measure(engine: Engine, device: str) -> Budget | None:
    """Generates a few batches. None where the engine's defaults are as good.

    Raises what `Engine.generate` raises.
    """
    if device == "cpu":
        return by_clock(engine, perf_counter)
    if device.startswith("cuda"):
        import torch

        return by_memory(engine, torch.cuda, device)
    return None


def by_clock(engine: Engine, clock: Callable[[], float]) -> Budget | None:
    """As many tokens as are fastest, and as many rows as a batch has time for."""

    def seconds(documents: int, tokens: int, new: int) -> float:
        began = clock()
        _generate(engine, documents, tokens, new)
        return clock() - began

    seconds(1, 8, 2)  # the first takes longer, whatever its size
    rows, steps = 16, 4
    a_row = seconds(rows // _BEAMS, 8, steps) / (rows * steps)
    if a_row < _SMALL_MODEL:
        return None
    default = engine.max_num_batched_tokens or _SIZES[0]
    tokens = _fastest(lambda size: seconds(size // _TOKENS, _TOKENS, 16), default)
    seqs = _power_of_two(_BATCH_SECONDS / (_STEPS * a_row))
    return Budget(
        max_num_batched_tokens=tokens, max_num_seqs=min(_MOST_SEQS, max(_FEWEST_SEQS, seqs))
    )


def by_memory(engine: Engine, cuda: Any, device: str) -> Budget:
    """What is free after the weights, by what a small batch takes of it. Half is for the tokens
    and half for the rows, so that both may be full at once. `cuda`: `torch.cuda`."""
    documents = 16
    cuda.reset_peak_memory_stats(device)
    before = cuda.memory_allocated(device)
    _generate(engine, documents, _TOKENS, 64)
    a_document = max(1, cuda.max_memory_allocated(device) - before) / documents
    cuda.empty_cache()
    free, _ = cuda.mem_get_info(device)
    fitting = int(_MARGIN * free / a_document / 2)
    tokens = min(_MOST_TOKENS_BY_MEMORY, fitting * _TOKENS)
    return Budget(
        max_num_batched_tokens=max(_TOKENS, tokens),
        max_num_seqs=min(_MOST_SEQS_BY_MEMORY, max(1, fitting)),
    )


def _fastest(seconds: Callable[[int], float], default: int) -> int:
    """The smallest that is as fast as any, of the sizes that there is time for.

    Not less than `default`, but for a batch's time: few rows cost more in steps than a probe
    with few new tokens tells. 2,048 tokens, which a probe took to be as fast, wrote 0.87 times
    the documents a second of 4,096 (62M BART, 4 beams, 49 new tokens).
    """
    by_token: dict[int, float] = {}
    spent = 0.0
    for size in _SIZES:
        took = seconds(size)
        spent += took
        by_token[size] = took / size
        larger = next((each for each in _SIZES if each > size), size)
        if spent + took * larger / size > _SECONDS:
            break
    least = min(by_token.values())
    found = next(size for size, each in by_token.items() if each <= least * _AS_FAST)
    return max(_SIZES[0], min(max(found, default), _power_of_two(_BATCH_SECONDS / least)))


def _generate(engine: Engine, documents: int, tokens: int, new: int) -> None:
    """Made-up documents of so many tokens each, and so many new ones for each."""
    effective = Effective(
        generation={"num_beams": _BEAMS, "max_new_tokens": new, "min_new_tokens": new}
    )
    # Cut here, and not as documents are: a chat template may be longer than a probe.
    [encoded] = engine.encode(["word " * tokens], effective)
    engine.generate([encoded.ids[:tokens]] * documents, effective, [0] * documents)


def _power_of_two(most: float) -> int:
    return 1 << max(0, int(most).bit_length() - 1)


def _processor() -> str:
    """Linux tells it in a file only."""
    try:
        lines: Sequence[str] = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())

"""Our own sides: engines of gistmill's, loaded as a worker loads them."""

from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.engines.sides import Documents, Load
from jobs.errors import JobError
from jobs.parameters import Effective
from worker import batching, budget, model_files, models
from worker.engines import Engine
from worker.engines.native import NativeEngine, unsupported

_TEXTBOOK_BATCH = 8


class Own:
    """An engine under the worker's plan of batches, or, for `textbook`, in the
    order of arrival, 8 at a time. `native` makes what the side of that name runs."""

    def __init__(self, load: Load, native: Callable[..., Engine] = NativeEngine) -> None:
        torch.set_num_threads(load.threads)
        self._engine = _engine(load, native)
        self._effective = Effective(generation=load.generation)
        self._textbook = load.side == "textbook"

    def tune(self, documents: Documents) -> str:  # noqa: ARG002 - a worker has not seen them
        """The budget that a worker would measure as it loads the model."""
        if self._textbook:
            return f"batches of {_TEXTBOOK_BATCH}"
        if found := budget.measure(self._engine, "cpu"):
            self._engine.max_num_batched_tokens = found.max_num_batched_tokens
            self._engine.max_num_seqs = found.max_num_seqs
        return f"{self._engine.max_num_batched_tokens} tokens, {self._rows()} documents"

    def run(self, documents: Documents) -> list[list[int]]:
        found: list[list[int]] = [[] for _ in documents]
        for batch in self._batches(documents):
            ids = [documents[position] for position in batch]
            generated = self._engine.generate(ids, self._effective, [0] * len(batch))
            for position, each in zip(batch, generated, strict=True):
                found[position] = each.ids
        return found

    def _batches(self, documents: Documents) -> list[list[int]]:
        if self._textbook:
            order = list(range(len(documents)))
            steps = range(0, len(order), _TEXTBOOK_BATCH)
            return [order[start : start + _TEXTBOOK_BATCH] for start in steps]
        lengths = [len(ids) for ids in documents]
        return batching.plan(lengths, self._engine.max_num_batched_tokens, self._rows())

    def _rows(self) -> int:
        return max(1, self._engine.max_num_seqs // self._engine.seqs_per_document(self._effective))


def _engine(load: Load, native: Callable[..., Engine]) -> Engine:
    resolved = models.resolve(load.model, Path(load.home))
    if load.side != "native":
        return models.load(resolved, "transformers", load.dtype, "cpu")
    assert resolved.folder is not None
    config = model_files.read_config(resolved.folder, load.model)
    if lacks := unsupported(config, resolved.kind, Effective(generation=load.generation)):
        raise JobError("bad_parameters", f"native can not run {resolved.name}: {lacks}")
    # It quantizes by itself.
    dtype = "float32" if load.dtype == "int8" else load.dtype
    model = model_files.load(resolved.folder, resolved.kind, dtype, "cpu", load.model)
    tokenizer = model_files.read_tokenizer(resolved.folder, load.model)
    return native(model, tokenizer, resolved.kind, load.dtype)

"""The sides of the comparison: token ids in, token ids out, by four ways of doing it.

A side holds one loaded model. `textbook` and `sorted` are transformers' `generate`; `native` is
gistmill's own loop; `peer` is CTranslate2 (`benchmarks.engines.peer`). Ours are loaded as a
worker loads them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from jobs.errors import JobError
from jobs.parameters import Effective

Documents = Sequence[list[int]]
_TEXTBOOK_BATCH = 8


@dataclass(frozen=True)
class Load:
    """What a side is to hold. It goes to the side's process as JSON."""

    side: str
    dtype: str
    model: str
    """A folder, or the name of a model as a job names it."""
    home: str
    """Where models are kept that have to be converted first."""
    threads: int
    generation: dict[str, Any]
    """GenerationConfig fields."""


class Side(Protocol):
    def tune(self, documents: Documents) -> str:
        """Find the best settings on these documents; what they are, in a few words."""
        ...

    def run(self, documents: Documents) -> list[list[int]]:
        """New tokens of each document, in their order, without the end token."""
        ...


def open_side(load: Load) -> Side:
    """Raises JobError where this side can not run the model, and ImportError where it is
    not installed."""
    if load.side == "peer":
        from benchmarks.engines.peer import Peer

        return Peer(load)
    return OwnSide(load)


class OwnSide:
    """An engine of gistmill's under the worker's plan of batches, or, for `textbook`, in the
    order of arrival, 8 at a time."""

    def __init__(self, load: Load) -> None:
        from pathlib import Path

        import torch

        from worker import models

        torch.set_num_threads(load.threads)
        engine = "native" if load.side == "native" else "transformers"
        resolved = models.resolve(load.model, Path(load.home))
        models.resolve_engine(resolved, engine)
        self._engine = models.load(resolved, engine, load.dtype, "cpu")
        self._effective = Effective(generation=load.generation)
        self._textbook = load.side == "textbook"

    def tune(self, documents: Documents) -> str:  # noqa: ARG002 - ours are measured as they come
        if self._textbook:
            return f"batches of {_TEXTBOOK_BATCH}"
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
        from worker import batching

        if self._textbook:
            order = list(range(len(documents)))
            steps = range(0, len(order), _TEXTBOOK_BATCH)
            return [order[start : start + _TEXTBOOK_BATCH] for start in steps]
        lengths = [len(ids) for ids in documents]
        return batching.plan(lengths, self._engine.max_num_batched_tokens, self._rows())

    def _rows(self) -> int:
        return max(
            1, self._engine.max_num_seqs // self._engine.seqs_per_document(self._effective)
        )


__all__ = ["Documents", "JobError", "Load", "OwnSide", "Side", "open_side"]

"""Batches through the model, documents into rows. What the model refuses is halved until one
document fails alone.

Knows no lease and no SQL. What the process can not survive, a device that is lost among it,
passes through.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import chain

from jobs import logs
from jobs.documents import Document, storable
from jobs.job import Row
from jobs.parameters import Effective
from worker import batching
from worker.engines import DeviceLost, Encoded, Engine, Generated, OutOfMemory

log = logs.get("halving")


@dataclass(frozen=True, slots=True)
class Item:
    """A document on its way through the model."""

    shard_id: int
    document: Document
    encoded: Encoded


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a batch was not done. Not the exception itself: with its traceback it would keep the
    memory that the next, smaller batch needs."""

    code: str
    message: str
    memory: bool = False
    """Whether a smaller batch would need less of what there was too little of."""


class Halving:
    """The batches of one window. `deadline` is how long each attempt may take.

    What the memory was found to hold is kept in the engine's `max_num_batched_tokens`: whatever
    is planned with that model from then on, of later shards and jobs too, stays within it.
    """

    def __init__(
        self,
        engine: Engine,
        effective: Effective,
        deadline: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._engine = engine
        self._effective = effective
        self._deadline = deadline

    def generate(self, batch: Sequence[Item]) -> list[tuple[Item, Row]]:
        """One row for each document of the batch."""
        parts = self._parts(batch)
        rows: list[tuple[Item, Row]] = []
        while parts:
            part = parts.pop(0)
            outcome = self._attempt(part)
            if not isinstance(outcome, Refusal):
                rows += zip(part, outcome, strict=True)
            elif len(part) == 1:
                rows.append((part[0], _refused(part[0], outcome)))
            elif outcome.memory:
                self._learn(_padded_tokens(part) // 2)
                parts = self._parts([*part, *chain(*parts)])
            else:
                middle = len(part) // 2
                parts[:0] = [part[:middle], part[middle:]]
        return rows

    def within_room(self, batches: Sequence[Sequence[Item]]) -> list[list[Item]]:
        """The batches to come, those cut that are more than the memory was found to hold: each
        is then written down and stored by itself."""
        return [part for batch in batches for part in self._parts(batch)]

    def _learn(self, tokens: int) -> None:
        """No batch holds more than so many padded tokens, as long as the model is loaded: who loads
        it next may find the device empty, or the neighbours gone."""
        self._engine.max_num_batched_tokens = tokens
        log.warning("batches get smaller: the memory is too small", max_num_batched_tokens=tokens)

    def _parts(self, items: Sequence[Item]) -> list[list[Item]]:
        """All together, or as many as the memory was found to hold: a window that was planned
        before knows nothing of that."""
        room = self._engine.max_num_batched_tokens
        if len(items) == 1 or room is None or _padded_tokens(items) <= room:
            return [list(items)]
        plan = batching.plan(_lengths(items), room, max_num_seqs=len(items))
        return [[items[position] for position in part] for part in plan]

    def _attempt(self, batch: Sequence[Item]) -> list[Row] | Refusal:
        seeds = [self._effective.seed_of(item.document.index) for item in batch]
        try:
            with self._deadline():
                ids = [item.encoded.ids for item in batch]
                generated = self._engine.generate(ids, self._effective, seeds)
                texts = self._engine.decode(generated)
        except (OutOfMemory, MemoryError) as error:
            refusal = Refusal("out_of_memory", _line(error), memory=True)
        except DeviceLost:
            raise
        except Exception as error:
            refusal = Refusal("generation_failed", _line(error))
        else:
            return [_row(*made) for made in zip(batch, generated, texts, strict=True)]
        # Not its message, which may quote what the model was given; the row has it.
        log.warning("the model refuses documents", documents=len(batch), code=refusal.code)
        return refusal


def failed(document: Document, code: str, message: str) -> Row:
    """The row of a document that has no summary."""
    return Row(
        index=document.index,
        id=document.id,
        summary=None,
        input_tokens=0,
        output_tokens=0,
        truncated=False,
        finish_reason=None,
        error_code=code,
        error_message=message,
        reference=document.reference,
    )


def _row(item: Item, generated: Generated, text: str) -> Row:
    return Row(
        index=item.document.index,
        id=item.document.id,
        summary=storable(text),
        input_tokens=item.encoded.tokens,
        output_tokens=generated.tokens,
        truncated=item.encoded.truncated,
        finish_reason=generated.finish_reason,
        error_code=None,
        error_message=None,
        reference=item.document.reference,
    )


def _refused(item: Item, refusal: Refusal) -> Row:
    message = f"document {item.document.index}: {refusal.message}"
    return failed(item.document, refusal.code, message)


def _line(error: Exception) -> str:
    return storable(f"{type(error).__name__}: {error}".splitlines()[0].removesuffix(": "))


def _lengths(items: Sequence[Item]) -> list[int]:
    return [len(item.encoded.ids) for item in items]


def _padded_tokens(items: Sequence[Item]) -> int:
    return batching.padded_tokens(range(len(items)), _lengths(items))

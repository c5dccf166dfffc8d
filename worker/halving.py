"""Batches through the model, items into what is written for them. What the model refuses is halved
until one item is refused alone.

Knows no lease and no SQL. What the process can not survive, a device that is lost among it,
passes through.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from itertools import chain

from jobs import logs
from jobs.documents import storable
from jobs.parameters import Effective
from worker import batching
from worker.engines import DeviceLost, Engine, OutOfMemory
from worker.items import Item, Outcome, Refusal, Written, written

log = logs.get("halving")


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

    def generate(self, batch: Sequence[Item]) -> list[tuple[Item, Outcome]]:
        """What each item of the batch came to."""
        parts = self._parts(batch)
        outcomes: list[tuple[Item, Outcome]] = []
        while parts:
            part = parts.pop(0)
            outcome = self._attempt(part)
            if not isinstance(outcome, Refusal):
                outcomes += zip(part, outcome, strict=True)
            elif len(part) == 1:
                outcomes.append((part[0], outcome))
            elif outcome.memory:
                self._learn(_padded_tokens(part) // 2)
                parts = self._parts([*part, *chain(*parts)])
            else:
                middle = len(part) // 2
                parts[:0] = [part[:middle], part[middle:]]
        return outcomes

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

    def _attempt(self, batch: Sequence[Item]) -> list[Written] | Refusal:
        seeds = [self._effective.seed_of(*item.seed_of) for item in batch]
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
            return [written(*made) for made in zip(generated, texts, strict=True)]
        # Not its message, which may quote what the model was given; the row has it.
        log.warning("the model refuses documents", documents=len(batch), code=refusal.code)
        return refusal


def _line(error: Exception) -> str:
    return storable(f"{type(error).__name__}: {error}".splitlines()[0].removesuffix(": "))


def _lengths(items: Sequence[Item]) -> list[int]:
    return [len(item.encoded.ids) for item in items]


def _padded_tokens(items: Sequence[Item]) -> int:
    return batching.padded_tokens(range(len(items)), _lengths(items))

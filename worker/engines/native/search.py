"""The loop of generation, for any decoder: step, apply the rules, choose, drop who is done.

`BeamSearch` and `RowSearch` join the rules to the bookkeeping; `run` drives a decoder with
either. Documents whose text is complete leave at once on a CPU. Elsewhere the host asks only
every few steps: a question is a wait for all that the device has still to do.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from worker.engines import NotNumbers
from worker.engines.native import scoring
from worker.engines.native.beams import Beams
from worker.engines.native.rows import Rows
from worker.engines.native.rules import Rules

_PATIENCE = 8
"""Steps between two looks at a device other than the CPU."""


class Decoder(Protocol):
    """A model with its memory of one batch, all documents at the same step."""

    def step(self, tokens: Tensor) -> Tensor:
        """`tokens`: `[documents, beams]`, the newest. Returns hidden states of each row."""
        ...

    def logits(self, hidden: Tensor) -> Tensor:
        """`[documents * beams, vocabulary]`, which the caller may change."""
        ...

    def follow(self, parents: Tensor) -> None:
        """Beam j of document i goes on from beam `parents[i, j]`."""
        ...

    def keep(self, documents: Tensor) -> None:
        """Only these documents stay, in this order."""
        ...


class Search(Protocol):
    """What decides. `[documents, beams]` twice are parents and new tokens."""

    @property
    def step(self) -> int: ...

    def choose(self, logits: Tensor) -> tuple[Tensor | None, Tensor]: ...

    def force(self, token: int) -> tuple[Tensor | None, Tensor]: ...

    def done(self) -> Tensor: ...

    def keep(self, documents: Tensor) -> None: ...

    def best(self) -> tuple[Tensor, Tensor, Tensor]: ...


class BeamSearch:
    """Beam search under rules."""

    def __init__(self, beams: Beams, rules: Rules) -> None:
        self._beams, self._rules = beams, rules

    @property
    def step(self) -> int:
        return self._beams.step

    def choose(self, logits: Tensor) -> tuple[Tensor | None, Tensor]:
        """`logits`: `[documents * beams, vocabulary]`; changed."""
        beams = self._beams
        normalizer = scoring.normalizer(logits)
        self._rules.apply(logits, beams.sequences, beams.step, normalizer)
        values, ids = scoring.best(logits, beams.wanted)
        shape = (-1, beams.beams, ids.shape[1])
        # No probability is above 1, however its logarithm was rounded: sums may only fall.
        log_probs = (values.float() - normalizer).clamp(max=0)
        return beams.advance(log_probs.view(shape), ids.view(shape))

    def force(self, token: int) -> tuple[Tensor | None, Tensor]:
        rows = self._beams.sequences
        shape = (-1, self._beams.beams, 1)
        certain = torch.zeros(rows.shape[0], device=rows.device)
        return self._beams.advance(
            certain.view(shape), torch.full_like(rows[:, 0], token).view(shape)
        )

    def done(self) -> Tensor:
        return self._beams.done()

    def keep(self, documents: Tensor) -> None:
        self._beams.keep(documents)

    def best(self) -> tuple[Tensor, Tensor, Tensor]:
        return self._beams.best()


def run(
    decoder: Decoder, search: Search, rules: Rules, first: Tensor, most: int
) -> list[list[int]]:
    """New ids of each document, its end token among them, in the order of the batch.

    `first`: `[documents, beams]`, the tokens to begin with; `most`: new tokens at most.
    Raises NotNumbers.
    """
    tokens = first
    places = list(range(len(first)))
    found: dict[int, list[int]] = {}
    while places:
        parents, tokens = _step(decoder, search, rules, tokens, most)
        if not _is_time(tokens.device, search.step, most):
            if parents is not None:
                decoder.follow(parents)
            continue
        stay = _collect(search, places, found)
        if len(stay) < len(places) and stay:
            order = torch.tensor(stay, device=tokens.device)
            search.keep(order)
            tokens = tokens[order]
            parents = None if parents is None else parents[order]
            decoder.keep(order)
        if parents is not None and stay:
            decoder.follow(parents)
        places = [places[each] for each in stay]
    return [found[place] for place in range(len(first))]


def _step(
    decoder: Decoder, search: Search, rules: Rules, tokens: Tensor, most: int
) -> tuple[Tensor | None, Tensor]:
    forced = rules.forced(search.step)
    if forced is None:
        return search.choose(decoder.logits(decoder.step(tokens)))
    # At the very end nothing comes after, and the model has not to be asked.
    if search.step < most - 1:
        decoder.step(tokens)
    return search.force(forced)


def _is_time(device: torch.device, step: int, most: int) -> bool:
    return device.type == "cpu" or step == most or step % _PATIENCE == 0


def _collect(search: Search, places: Sequence[int], found: dict[int, list[int]]) -> list[int]:
    """Takes what is done into `found`. Returns who stays, the holes filled from the end, so that
    what a decoder remembers of those that stay where they are need not be moved.

    Raises NotNumbers where a score is NaN: that of who met NaN logits, who is done with it.
    """
    done = search.done().tolist()
    if not any(done):
        return list(range(len(done)))
    ids, lengths, scores = search.best()
    if bool(scores.isnan().any()):
        raise NotNumbers
    for place, is_done, row, length in zip(
        places, done, ids.tolist(), lengths.tolist(), strict=True
    ):
        if is_done:
            found[place] = row[:length]
    alive = [each for each, is_done in enumerate(done) if not is_done]
    movers = [each for each in alive if each >= len(alive)]
    return [movers.pop() if done[each] else each for each in range(len(alive))]


class RowSearch:
    """One text for each document, greedy or sampled, under rules."""

    def __init__(self, rows: Rows, rules: Rules) -> None:
        self._rows, self._rules = rows, rules

    @property
    def step(self) -> int:
        return self._rows.step

    def choose(self, logits: Tensor) -> tuple[Tensor | None, Tensor]:
        """`logits`: `[documents, vocabulary]`; changed."""
        self._rules.apply(logits, self._rows.sequences, self._rows.step)
        return None, self._rows.advance(*self._rows.chooser.choose(logits, self._rows.step))

    def force(self, token: int) -> tuple[Tensor | None, Tensor]:
        return None, self._rows.advance(torch.full_like(self._rows.sequences[:, 0], token))

    def done(self) -> Tensor:
        return self._rows.done()

    def keep(self, documents: Tensor) -> None:
        self._rows.keep(documents)

    def best(self) -> tuple[Tensor, Tensor, Tensor]:
        return self._rows.best()

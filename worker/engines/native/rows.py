"""The bookkeeping of greedy search and sampling: what each row said, and whether it ended.

One row for each document, all at the same step. Knows no model: it is given tokens.
"""

import torch
from torch import Tensor

from worker.engines.native.sampling import Greedy, Sampler


class Rows:
    """`prompts`: `[rows, prompt]` ids that stand before the new ones, -1 for padding; `most`: new
    tokens at most; `ends`: `[ids]` that end a text; `chooser`: how a token is chosen."""

    def __init__(self, prompts: Tensor, most: int, ends: Tensor, chooser: Greedy | Sampler) -> None:
        self.step = 0
        self.chooser = chooser
        self._most, self._ends, self._prompt = most, ends, prompts.shape[1]
        empty = prompts.new_zeros((len(prompts), most))
        self._said = torch.cat((prompts, empty), dim=1)
        self._lengths = prompts.new_full((len(prompts),), most)
        self._is_over = torch.zeros(len(prompts), dtype=torch.bool, device=prompts.device)
        self._scores = torch.zeros(len(prompts), device=prompts.device)

    @property
    def sequences(self) -> Tensor:
        """`[rows, prompt + step]`."""
        return self._said[:, : self._prompt + self.step]

    def advance(self, tokens: Tensor, weights: Tensor | None = None) -> Tensor:
        """`tokens`: `[rows]`, what each says next; where its weight is NaN it says no more.
        Returns them as `[rows, 1]`."""
        if weights is not None:
            lost = weights.isnan() & ~self._is_over
            self._scores = self._scores.masked_fill(lost, float("nan"))
            self._is_over |= lost
        self._said[:, self._prompt + self.step] = tokens
        self.step += 1
        ended = torch.isin(tokens, self._ends) & ~self._is_over
        self._lengths = torch.where(ended, self.step, self._lengths)
        self._is_over |= ended
        return tokens[:, None]

    def done(self) -> Tensor:
        """`[rows]`."""
        return self._is_over | (self.step == self._most)

    def keep(self, rows: Tensor) -> None:
        """Only these rows stay, in this order."""
        self._said, self._lengths = self._said[rows], self._lengths[rows]
        self._is_over, self._scores = self._is_over[rows], self._scores[rows]
        self.chooser.keep(rows)

    def best(self) -> tuple[Tensor, Tensor, Tensor]:
        """As `Beams.best`; the score of a row is not known: 0, or NaN."""
        return self._said[:, self._prompt :], self._lengths, self._scores

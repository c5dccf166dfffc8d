"""The bookkeeping of beam search: which beams go on, which are finished, when to stop.

Follows `GenerationMixin._beam_search` of transformers 5.23 operation by operation in float32,
so that both choose alike, but for each document on its own: a document that is done leaves
without a word to the others. Knows no model: it is given candidates and says which go on.
"""

from typing import Literal

import torch
from torch import Tensor

_FAR = -1.0e9
"""What `generate` adds to the score of what may not be chosen."""

_ROUNDING = 1.0e-4
"""By what share of itself a sum of float32 log probabilities may be off, and more."""

EarlyStopping = bool | Literal["never"]


class Beams:
    """The beams of a batch of documents, all at the same step.

    `prompts`: `[documents, prompt]` ids that stand before the new ones, -1 for padding;
    `most`: new tokens at most; `ends`: `[ids]` that end a text.
    """

    def __init__(
        self,
        prompts: Tensor,
        beams: int,
        most: int,
        ends: Tensor,
        length_penalty: float = 1.0,
        early_stopping: EarlyStopping = False,
    ) -> None:
        documents, prompt = prompts.shape
        device = prompts.device
        self.beams = beams
        self.step = 0
        self._prompt, self._most, self._ends = prompt, most, ends
        self._length_penalty, self._early_stopping = length_penalty, early_stopping
        self._running = torch.zeros(
            (documents, beams, prompt + most), dtype=torch.long, device=device
        )
        self._running[:, :, :prompt] = prompts[:, None]
        # All beams are alike at first: only the first of them may go on.
        self._scores = torch.full((documents, beams), _FAR, device=device)
        self._scores[:, 0] = 0
        self._best = self._running.clone()
        self._best_lengths = torch.zeros((documents, beams), dtype=torch.long, device=device)
        self._best_scores = torch.full((documents, beams), _FAR, device=device)
        self._is_finished = torch.zeros((documents, beams), dtype=torch.bool, device=device)
        self._can_improve = torch.ones((documents, 1), dtype=torch.bool, device=device)

    @property
    def wanted(self) -> int:
        """Candidates that `advance` needs of each row."""
        return max(2, 1 + self._ends.numel()) * self.beams

    @property
    def sequences(self) -> Tensor:
        """`[documents * beams, prompt + step]`: what each running beam said."""
        return self._running[:, :, : self._prompt + self.step].flatten(0, 1)

    def advance(self, log_probs: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        """One step on. `log_probs`, `ids`: `[documents, beams, candidates]`, the best of each row.

        `candidates` is `wanted`, or fewer where a row has no more to offer (minus infinity, or a
        smaller vocabulary). Returns `[documents, beams]` twice: the beam of the same document
        that each running beam goes on from, and its new token.
        """
        totals, parents, tokens = self._candidates(log_probs.float(), ids)
        self.step += 1
        ended = torch.isin(tokens, self._ends) | (self.step == self._most)
        running = totals + ended.float() * _FAR
        chosen = running.topk(self.beams)[1]
        said = _gather(self._running, parents)
        said[:, :, self._prompt + self.step - 1] = tokens
        self._finish(said, totals, ended)
        self._running, self._scores = _gather(said, chosen), running.gather(1, chosen)
        self._can_improve &= self._improvable()
        return parents.gather(1, chosen), tokens.gather(1, chosen)

    def done(self) -> Tensor:
        """`[documents]`: whether nothing that is still to come can change the outcome."""
        if self.step == self._most:
            return torch.ones_like(self._can_improve[:, 0])
        done = ~self._can_improve[:, 0] | self._is_settled()
        if self._early_stopping is True:
            done |= self._is_finished.all(dim=1)
        return done

    def keep(self, documents: Tensor) -> None:
        """Only these documents stay, in this order."""
        for name in ("_running", "_scores", "_best", "_best_lengths", "_best_scores"):
            setattr(self, name, getattr(self, name)[documents])
        self._is_finished = self._is_finished[documents]
        self._can_improve = self._can_improve[documents]

    def best(self) -> tuple[Tensor, Tensor, Tensor]:
        """The best finished text of each document: `[documents, most]` new ids, `[documents]`
        how many of them count, its end among them, and `[documents]` its score."""
        ids = self._best[:, 0, self._prompt :]
        return ids, self._best_lengths[:, 0], self._best_scores[:, 0]

    def _candidates(self, log_probs: Tensor, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of all rows of a document the `wanted` best: totals, parents, tokens."""
        each = log_probs.shape[2]
        totals = (log_probs + self._scores[:, :, None]).flatten(1)
        totals, places = totals.topk(min(self.wanted, totals.shape[1]))
        return totals, places // each, ids.flatten(1).gather(1, places)

    def _finish(self, said: Tensor, totals: Tensor, ended: Tensor) -> None:
        """Only the `beams` best candidates may finish: the others are there to go on."""
        just = ended.clone()
        just[:, self.beams :] = False
        scores = totals / (self.step**self._length_penalty)
        if self._early_stopping is True:
            scores += self._is_finished.all(dim=1, keepdim=True).float() * _FAR
        scores += (~self._can_improve).float() * _FAR
        scores += (~just).float() * _FAR
        merged = torch.cat((self._best_scores, scores), dim=1)
        self._best_scores, chosen = merged.topk(self.beams)
        lengths = torch.full_like(ended, self.step, dtype=torch.long)
        self._best = _gather(torch.cat((self._best, said), dim=1), chosen)
        self._best_lengths = torch.cat((self._best_lengths, lengths), dim=1).gather(1, chosen)
        self._is_finished = torch.cat((self._is_finished, just), dim=1).gather(1, chosen)

    def _is_settled(self) -> Tensor:
        """Whether no running beam can end better than the best that has ended: what it says yet
        can not raise the sum of its log probabilities, only what this is divided by.

        Exact, where `generate` goes on until its own rule says stop; both return the same.
        """
        length = self._most if self._length_penalty > 0.0 else self.step + 1
        possible = self._scores[:, 0] / (length**self._length_penalty)
        settled: Tensor = self._best_scores[:, 0] > possible + _ROUNDING * possible.abs()
        return settled

    def _improvable(self) -> Tensor:
        """`generate`'s guess whether the best running beam can still beat the worst finished."""
        longest = self._early_stopping == "never" and self._length_penalty > 0.0
        length = self._most if longest else self.step
        possible = self._scores[:, :1] / (length**self._length_penalty)
        worst = self._best_scores.min(dim=1, keepdim=True)[0]
        beaten: Tensor = possible > torch.where(self._is_finished, worst, _FAR)
        return beaten.any(dim=1, keepdim=True)


def _gather(sequences: Tensor, beams: Tensor) -> Tensor:
    """`sequences`: `[documents, beams, length]`; `beams`: `[documents, chosen]`."""
    return sequences.gather(1, beams[:, :, None].expand(-1, -1, sequences.shape[2]))

"""Which tokens may come next: GenerationConfig's rules on one step's logits.

Minimum lengths, n-gram blocking, repetition penalty, suppressed tokens and bad words are
written into the logits in place, only where they bite: no pass over the vocabulary, no read
by the host. Forced tokens need no logits: `forced` names the token of a step. Meanings are
those of `transformers.generation.logits_process`. Knows no model and no search.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from worker.generation import new_tokens

NEVER = float("-inf")


class Rules:
    """The rules of one job. Every row of a batch is at the same step.

    `fields`: GenerationConfig fields by name; `ends`: the ids that end a text; `prompt`: how
    many tokens stand before the first new one (1 for an encoder-decoder, its start token;
    for a decoder-only model the width of the padded batch).
    """

    def __init__(
        self, fields: Mapping[str, Any], ends: Sequence[int], prompt: int, device: torch.device
    ) -> None:
        self._most = new_tokens(fields)
        least = fields.get("min_new_tokens")
        if least is None:  # else it stands for the other, as in the library
            least = max(0, fields.get("min_length", 0) - prompt)
        self._least = least if ends else 0
        self._first = fields.get("forced_bos_token_id") if prompt == 1 else None
        self._last = _only(fields.get("forced_eos_token_id"))
        self._penalty = float(fields.get("repetition_penalty", 1.0))
        self._ngram = int(fields.get("no_repeat_ngram_size", 0))
        self._ends = torch.tensor(list(ends), dtype=torch.long, device=device)
        bad = [word for word in fields.get("bad_words_ids") or [] if word not in _singly(ends)]
        never = [*(fields.get("suppress_tokens") or ()), *(w[0] for w in bad if len(w) == 1)]
        self._never = torch.tensor(never, dtype=torch.long, device=device)
        at_first = fields.get("begin_suppress_tokens") or ()
        self._not_at_first = torch.tensor(list(at_first), dtype=torch.long, device=device)
        self._first_chosen = 0 if prompt > 1 or self._first is None else 1
        self._words = [torch.tensor(word, device=device) for word in bad if len(word) > 1]

    def forced(self, step: int) -> int | None:
        """The one token that every row says after `step` new tokens, if it is forced."""
        if step == self._most - 1 and self._last is not None:
            return self._last
        return self._first if step == 0 else None

    @property
    def of_probabilities(self) -> bool:
        """Whether `apply` needs to know what the logits are to be normalized by."""
        return self._penalty != 1.0

    def apply(
        self, logits: Tensor, sequences: Tensor, step: int, normalizer: Tensor | None = None
    ) -> None:
        """Changes `logits`, `[rows, vocabulary]`, in place.

        `sequences`: `[rows, prompt + step]`, the ids so far; -1 where a row has no token (left
        padding). `step`: new tokens so far. `normalizer`: `[rows, 1]`, the logarithm of the sum
        of the exponentials, where the rules are to act on log probabilities (beam search does,
        greedy search and sampling do not); it matters to the repetition penalty alone.
        """
        # Any real token of the row in place of padding: what is done to it twice is done once.
        known = torch.where(sequences < 0, sequences[:, -1:], sequences)
        if self._penalty != 1.0:
            _penalize(logits, known, self._penalty, normalizer)
        if 0 < self._ngram <= sequences.shape[1]:
            _block_ngrams(logits, sequences, known, self._ngram)
        for word in self._words:
            _block_word(logits, sequences, word)
        if self._never.numel():
            logits.index_fill_(1, self._never, NEVER)
        if step < self._least:
            logits.index_fill_(1, self._ends, NEVER)
        if step == self._first_chosen and self._not_at_first.numel():
            logits.index_fill_(1, self._not_at_first, NEVER)


def unsupported(fields: Mapping[str, Any]) -> str | None:
    """What these rules can not do, in a few words; None where they do all that is asked."""
    neutral: dict[str, tuple[Any, ...]] = {
        "encoder_repetition_penalty": (1.0,),
        "encoder_no_repeat_ngram_size": (0,),
        "exponential_decay_length_penalty": (),
        "renormalize_logits": (False,),
        "remove_invalid_values": (False,),
    }
    for name, harmless in neutral.items():
        value = fields.get(name)
        if value is not None and value not in harmless:
            return name
    forced = [fields.get("forced_bos_token_id"), fields.get("forced_eos_token_id")]
    if any(isinstance(each, list) and len(each) > 1 for each in forced):
        return "several forced_eos_token_id"
    barred = {*(fields.get("suppress_tokens") or ()), *(fields.get("begin_suppress_tokens") or ())}
    if any(_only(each) in barred for each in forced if each is not None):
        return "a token both forced and suppressed"
    return None


def _only(ids: int | list[int] | None) -> int | None:
    return ids[0] if isinstance(ids, list) else ids


def _singly(ids: Sequence[int]) -> list[list[int]]:
    return [[each] for each in ids]


def _penalize(logits: Tensor, known: Tensor, penalty: float, normalizer: Tensor | None) -> None:
    """Duplicates in `known` write the same value, so their order does not matter."""
    values = logits.gather(1, known).float()
    values = values if normalizer is None else values - normalizer
    values = torch.where(values < 0, values * penalty, values / penalty)
    values = values if normalizer is None else values + normalizer
    logits.scatter_(1, known, values.to(logits.dtype))


def _block_ngrams(logits: Tensor, sequences: Tensor, known: Tensor, size: int) -> None:
    """No n-gram twice in a row: what followed its last n-1 tokens before may not follow again.

    Adds 0 or minus infinity, so that a token that stands in two places is blocked by either.
    """
    length = sequences.shape[1]
    matches = sequences[:, size - 1 :] >= 0
    for place in range(size - 1):
        earlier = sequences[:, place : length - size + 1 + place]
        matches &= earlier == sequences[:, length - size + 1 + place, None]
    nothing = torch.zeros((), dtype=logits.dtype, device=logits.device)
    logits.scatter_add_(1, known[:, size - 1 :], torch.where(matches, NEVER, nothing))


def _block_word(logits: Tensor, sequences: Tensor, word: Tensor) -> None:
    before = word.numel() - 1
    if before > sequences.shape[1]:
        return
    said = (sequences[:, -before:] == word[:-1]).all(dim=1, keepdim=True)
    nothing = torch.zeros((), dtype=logits.dtype, device=logits.device)
    logits.index_add_(1, word[-1:], torch.where(said, NEVER, nothing))

"""One token for each row: the most likely one, or one drawn at random; and how sure it is.

Temperature, top-k, top-p and min-p as in `transformers.generation.logits_process`, and
GenerationConfig's defaults for what is not said (top_k 50). A document's random numbers come
from its own seed, one for each token, so that its sample does not depend on the batch. All in
float32: not every device has float64. Knows no model.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


class Greedy:
    """The most likely token."""

    def choose(
        self,
        logits: Tensor,
        step: int,  # noqa: ARG002 - as Sampler's
    ) -> tuple[Tensor, Tensor]:
        """`logits`: `[rows, vocabulary]`. Returns `[rows]` twice: tokens, and their weights, NaN
        where one of the row's logits is."""
        # Not argmax, which in bfloat16 takes four times as long on a CPU.
        weights, tokens = logits.max(dim=-1)
        return tokens, weights

    def keep(self, rows: Tensor) -> None:
        """Only these rows stay."""


class Sampler:
    """A token drawn from the softmax of the logits, cut as `fields` say.

    `seeds`: one for each row; `most`: new tokens at most.
    """

    def __init__(
        self, fields: Mapping[str, Any], seeds: Sequence[int], most: int, device: torch.device
    ) -> None:
        self._temperature = float(fields.get("temperature", 1.0))
        self._top_k = int(fields.get("top_k", 50))
        self._top_p = float(fields.get("top_p", 1.0))
        self._min_p = float(fields.get("min_p", 0.0))
        # Drawn at once and on the CPU: the same on every device, and none is read in the loop.
        self._numbers = torch.stack([_numbers(seed, most) for seed in seeds]).to(device)

    def choose(self, logits: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """`logits`: `[rows, vocabulary]`; `step`: new tokens so far. Returns `[rows]` twice:
        tokens, and of each row a weight that is NaN where one of its logits is."""
        probabilities, ids = self.distribution(logits)
        sums = probabilities.cumsum(dim=-1)
        whole = sums[:, -1:]
        # The first whose sum is not below: never one that was cut, whose sum is that before it.
        places = torch.searchsorted(sums, self._numbers[:, step, None] * whole)
        places = places.clamp(max=ids.shape[1] - 1)  # of NaN it finds a place behind the last
        return ids.gather(1, places)[:, 0], whole[:, 0]

    def keep(self, rows: Tensor) -> None:
        """Only these rows stay."""
        self._numbers = self._numbers[rows]

    def distribution(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """What is drawn from: `[rows, kept]` unnormalized probabilities, falling, and their ids."""
        count = min(self._top_k, logits.shape[1]) or logits.shape[1]
        values, ids = logits.topk(count)
        probabilities = (values.float() / self._temperature).softmax(dim=-1)
        kept = probabilities
        if self._top_p < 1.0:
            # What stands before a token, itself left out, must not fill the share already.
            before = probabilities.cumsum(dim=-1) - probabilities
            kept = kept.masked_fill(before >= self._top_p, 0.0)
            kept[:, 0] = probabilities[:, 0]
        if self._min_p > 0.0:
            # After top-p the library measures what is left, but against the same highest one.
            kept = kept.masked_fill(probabilities < self._min_p * probabilities[:, :1], 0.0)
        return kept, ids


def unsupported(fields: Mapping[str, Any]) -> str | None:
    """What can not be done, in a few words."""
    if not fields.get("do_sample"):
        return None
    if fields.get("num_beams", 1) > 1:
        return "sampling with beams"
    harmless = {"top_h": None, "typical_p": 1.0, "epsilon_cutoff": 0.0, "eta_cutoff": 0.0}
    for name, value in harmless.items():
        if fields.get(name, value) != value:
            return name
    return None


def _numbers(seed: int, count: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, generator=generator)

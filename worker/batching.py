"""Which documents go through the model together.

Pure: lengths in, batches out. It sorts, counts and cuts; it never sees a text,
a token or a model. Names are nano-vllm's (`nanovllm/engine/scheduler.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one batch may hold."""

    max_num_seqs: int
    """Documents."""
    max_num_batched_tokens: int | None
    """Input tokens, padding included; None where only documents are bounded."""

    def fill(self, documents: int, longest: int) -> float:
        """The share of what bounds it most that a batch fills; a document too long fills it."""
        rows = documents / self.max_num_seqs
        if self.max_num_batched_tokens is None:
            return rows
        return min(1.0, max(rows, documents * longest / self.max_num_batched_tokens))


def plan(
    lengths: Sequence[int], max_num_batched_tokens: int | None, max_num_seqs: int
) -> list[list[int]]:
    """Positions in `lengths`, each exactly once, as batches with the longest first.

    A batch holds at most `max_num_seqs` rows and, padded to its longest, at most
    `max_num_batched_tokens` tokens (None: no such bound); a document longer than
    that runs alone. Longest first, so that a batch too large for the device shows
    itself at once and not in the last minute of the night.

    Of all ways to keep these bounds this is one with the fewest batches and, among
    those, the fewest padded tokens. Cutting the sorted lengths suffices for that:
    sorting within batches of given sizes, themselves sorted by their longest, never
    makes the longest of any batch longer.
    """
    order = sorted(range(len(lengths)), key=lambda position: (-lengths[position], position))
    return _cut(
        order, _best_rows([lengths[p] for p in order], max_num_batched_tokens, max_num_seqs)
    )


def padded_tokens(batch: Sequence[int], lengths: Sequence[int]) -> int:
    """Tokens that go through the model for `batch`, padding included."""
    return len(batch) * max(lengths[position] for position in batch)


def _best_rows(
    descending: Sequence[int], max_num_batched_tokens: int | None, max_num_seqs: int
) -> list[int]:
    """For each start, how many rows its batch takes in the best plan from there on."""
    end = len(descending)
    costs = [(0, 0)] * (end + 1)  # (batches, padded tokens) from here to the end
    rows = [0] * end
    for start in reversed(range(end)):
        longest = descending[start]
        limit = min(end - start, max_num_seqs)
        if max_num_batched_tokens is not None:
            limit = min(limit, max(1, max_num_batched_tokens // max(1, longest)))
        costs[start], rows[start] = min(
            ((costs[start + n][0] + 1, costs[start + n][1] + n * longest), n)
            for n in range(1, limit + 1)
        )
    return rows


def _cut(order: list[int], rows: Sequence[int]) -> list[list[int]]:
    batches = []
    start = 0
    while start < len(order):
        batches.append(order[start : start + rows[start]])
        start += rows[start]
    return batches

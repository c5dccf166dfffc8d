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
    """For each start, how many rows its batch takes in the best plan from there on.

    Batches may end only where the fewest follow, and only starts that such a plan comes to are
    looked at: one, where all go together.
    """
    end = len(descending)
    limits = [
        _most_rows(end - start, descending[start], max_num_batched_tokens, max_num_seqs)
        for start in range(end)
    ]
    fewest = [0] * (end + 1)  # batches from here to the end
    for start in reversed(range(end)):
        fewest[start] = fewest[start + limits[start]] + 1
    choices: dict[int, list[int]] = {}
    starts = {0}
    for start in range(end):
        if start in starts:
            choices[start] = _as_few(fewest, start, limits[start])
            starts.update(start + n for n in choices[start])
    tokens = [0] * (end + 1)  # padded, from here to the end
    rows = [0] * end
    for start in sorted(choices, reverse=True):
        tokens[start], rows[start] = min(
            (tokens[start + n] + n * descending[start], n) for n in choices[start]
        )
    return rows


def _most_rows(
    left: int, longest: int, max_num_batched_tokens: int | None, max_num_seqs: int
) -> int:
    most = min(left, max_num_seqs)
    if max_num_batched_tokens is None:
        return most
    return min(most, max(1, max_num_batched_tokens // max(1, longest)))


def _as_few(fewest: Sequence[int], start: int, limit: int) -> list[int]:
    """How many rows a batch from `start` may take, at most `limit`, if no plan shall have fewer
    batches."""
    rows = limit
    while rows > 1 and fewest[start + rows - 1] == fewest[start] - 1:
        rows -= 1
    return list(range(rows, limit + 1))


def _cut(order: list[int], rows: Sequence[int]) -> list[list[int]]:
    batches = []
    start = 0
    while start < len(order):
        batches.append(order[start : start + rows[start]])
        start += rows[start]
    return batches

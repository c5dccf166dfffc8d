"""Which documents go through the model together.

Pure: lengths in, batches out. It sorts, counts and cuts; it never sees a text,
a token or a model. Names are nano-vllm's (`nanovllm/engine/scheduler.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

_ONE_MORE = 512
"""What one batch more costs, in padded tokens: the model is gone through once more for each token
that is written, however few rows there are. Of small batches, an eighth of a full one."""


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

    Of all ways to keep these bounds this is one that costs least: padded tokens, and for each
    batch `batch_cost`. Without a bound of tokens it is one with the fewest batches and, among
    those, the fewest padded tokens. Cutting the sorted lengths suffices for that: sorting within
    batches of given sizes, themselves sorted by their longest, never makes the longest of any
    batch longer.
    """
    order = sorted(range(len(lengths)), key=lambda position: (-lengths[position], position))
    descending = [lengths[position] for position in order]
    if max_num_batched_tokens is None:
        return _cut(order, _fewest_batches(descending, max_num_seqs))
    return _cut(order, _least_cost(descending, max_num_batched_tokens, max_num_seqs))


def padded_tokens(batch: Sequence[int], lengths: Sequence[int]) -> int:
    """Tokens that go through the model for `batch`, padding included."""
    return len(batch) * max(lengths[position] for position in batch)


def batch_cost(max_num_batched_tokens: int) -> int:
    """What a batch costs a plan beside its padded tokens, in tokens."""
    return min(_ONE_MORE, max_num_batched_tokens // 8)


def _least_cost(
    descending: Sequence[int], max_num_batched_tokens: int, max_num_seqs: int
) -> list[int]:
    """For each start, how many rows its batch takes in the best plan from there on."""
    end = len(descending)
    each = batch_cost(max_num_batched_tokens)
    costs = [(0, 0)] * (end + 1)  # tokens and batches, from here to the end
    rows = [0] * end
    for start in reversed(range(end)):
        longest = descending[start]
        fitting = max(1, max_num_batched_tokens // max(1, longest))
        most = min(end - start, max_num_seqs, fitting)
        costs[start], rows[start] = min(
            ((costs[start + n][0] + n * longest + each, costs[start + n][1] + 1), n)
            for n in range(1, most + 1)
        )
    return rows


def _fewest_batches(descending: Sequence[int], max_num_seqs: int) -> list[int]:
    """The same where only rows are bounded: the fewest batches, then the fewest padded tokens.

    Batches may end only where the fewest follow, and only starts that such a plan comes to are
    looked at: one, where all go together.
    """
    end = len(descending)
    limits = [min(end - start, max_num_seqs) for start in range(end)]
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

"""Longest common subsequences of words, by whole rows of the table at once.

A row of the table is one integer, with a bit for each word of the reference (Hyyrö 2004,
"Bit-parallel LCS-length computation revisited"). A bit that is 0 in the row of the summary's
first j words says that the common subsequence grows by one at that word of the reference.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

Places = Mapping[str, int]
"""Of each word, where it stands: bit i for the word i."""


def places(words: Sequence[str]) -> Places:
    found: defaultdict[str, int] = defaultdict(int)
    for place, word in enumerate(words):
        found[word] |= 1 << place
    return dict(found)


def length(reference: Sequence[str], where: Places, summary: Iterable[str]) -> int:
    """Of the longest common subsequence; `where` is `places(reference)`."""
    whole = row = (1 << len(reference)) - 1
    for word in summary:
        if same := where.get(word):
            row = _next(row, same, whole)
    return len(reference) - row.bit_count()


def members(reference: Sequence[str], where: Places, summary: Sequence[str]) -> int:
    """The words of the reference that are in one of the longest, as bits.

    There may be several; this is the one that rouge-score's `lcs_ind` finds, which matters to
    a union of them.
    """
    whole = (1 << len(reference)) - 1
    same = [where.get(word, 0) for word in summary]
    rows = list(accumulate(same, lambda row, at: _next(row, at, whole), initial=whole))
    found, left = 0, len(reference)
    for at, row in zip(reversed(same), reversed(rows), strict=False):
        # Back through the reference, to a word that is the same or where the table grows.
        left = ((at | ~row) & ((1 << left) - 1)).bit_length()
        if not left:
            break
        if at >> (left - 1) & 1:
            left -= 1
            found |= 1 << left
    return found


def _next(row: int, same: int, whole: int) -> int:
    common = row & same
    return ((row + common) | (row - common)) & whole

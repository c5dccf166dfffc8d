"""Words of a summary beside those of its document: what is new, what is copied, what repeats.

A word is what stands between white space, in lower case, without the punctuation around it:
"don't" and "3.5" are one, a dash by itself is none. Unlike ROUGE's words these are not stemmed,
and of any script; where a script has no spaces a whole phrase is one word.
"""

import re
from collections.abc import Sequence
from math import ceil

ORDERS = (1, 2, 3, 4)
"""Words of an n-gram."""
COPIED_WORDS = 20
COPIED_SHARE = 0.8
REPEATED_SHARE = 0.2

_WORD = re.compile(r"\w+(?:[^\w\s]+\w+)*")


def words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def novel(summary: Sequence[str], document: Sequence[str]) -> list[float | None]:
    """The share of the summary's different n-grams that are nowhere in the document, for each
    of ORDERS (See et al. 2017, Narayan et al. 2018); None where it has none of that length."""
    return [_novel(_ngrams(summary, order), _ngrams(document, order)) for order in ORDERS]


def copied(summary: Sequence[str], document: Sequence[str]) -> bool:
    """Whether a run of words stands in both, without a gap, that is 20 words long or four fifths
    of the summary."""
    if not summary:
        return False
    run = min(COPIED_WORDS, ceil(COPIED_SHARE * len(summary)))
    within = f" {' '.join(document)} "
    starts = range(len(summary) - run + 1)
    return any(f" {' '.join(summary[start : start + run])} " in within for start in starts)


def repetitive(summary: Sequence[str]) -> bool:
    """Whether more than a fifth of its runs of three words have come before in it."""
    runs = len(summary) - 2
    return runs - len(_ngrams(summary, 3)) > REPEATED_SHARE * runs if runs > 0 else False


def _ngrams(found: Sequence[str], order: int) -> set[tuple[str, ...]]:
    return set(zip(*(found[start:] for start in range(order)), strict=False))


def _novel(of_summary: set[tuple[str, ...]], of_document: set[tuple[str, ...]]) -> float | None:
    return len(of_summary - of_document) / len(of_summary) if of_summary else None

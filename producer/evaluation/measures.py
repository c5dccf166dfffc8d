"""The numbers of one document: texts in, numbers out, so that other processes can do it.

What is counted has a name and a place in a row of numbers; None is what can not be counted, for
want of a text or of a reference.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from producer.evaluation import wording
from producer.evaluation.rouge import METRICS, Scorer
from producer.evaluation.sentences import lead

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Table = dict[str, NDArray[np.float64]]

Texts = Sequence[str | None]
Numbers = list[float | None]
Measure = Callable[..., Numbers]
LEAD = "lead-3"

EVALUATED = (
    *METRICS,
    *(f"{LEAD} {metric}" for metric in METRICS),
    *(f"novel {order}" for order in wording.ORDERS),
    *("document words", "summary words", "empty", "copied", "repetitive"),
)
"""What `evaluation` returns. ROUGE and shares are 0 to 1, the last three 0 or 1."""
COMPARED = (
    *(f"a {metric}" for metric in METRICS),
    *(f"b {metric}" for metric in METRICS),
    *("a words", "b words", "same", "alike"),
)
"""What `comparison` returns. `alike` is ROUGE-L of one summary against the other."""


class Measures:
    """Measures one document after the other."""

    def __init__(self) -> None:
        self._scorer = Scorer()

    def evaluation(self, summary: str, document: str | None, reference: str | None) -> Numbers:
        """Of a summary, as EVALUATED."""
        scores: Numbers = [None] * (2 * len(METRICS))
        if reference is not None:
            scores = self._against(reference, summary, None if document is None else lead(document))
        return [*scores, *_worded(summary, document)]

    def comparison(self, ours: str, theirs: str, reference: str | None) -> Numbers:
        """Of two summaries of one document, as COMPARED."""
        scores: Numbers = [None] * (2 * len(METRICS))
        if reference is not None:
            scores = self._against(reference, ours, theirs)
        first, second = self._scorer.read(ours), self._scorer.read(theirs)
        lengths = len(wording.words(ours)), len(wording.words(theirs))
        alike = self._scorer.score(first, second)[METRICS.index("rougeL")]
        return [*scores, *lengths, ours == theirs, alike]

    def _against(self, reference: str, *texts: str | None) -> Numbers:
        known = self._scorer.read(reference)
        found: Numbers = []
        for text in texts:
            nothing = [None] * len(METRICS)
            found += nothing if text is None else self._scorer.score(known, self._scorer.read(text))
        return found


def by_name(kind: str) -> Measure:
    """`evaluation` or `comparison`, of Measures of its own."""
    measure: Measure = getattr(Measures(), kind)
    return measure


def packed(rows: Sequence[Numbers]) -> "NDArray[np.float64]":
    """NaN for None: many times smaller than Python's own numbers."""
    import numpy as np

    return np.array(rows, dtype=float)


def table(names: Sequence[str], rows: "Sequence[NDArray[np.float64]]") -> "Table":
    """Of what was packed, at least one row, a column of numbers for each name."""
    import numpy as np

    return dict(zip(names, np.concatenate(rows).T, strict=True))


def where_known(columns: "Table", name: str) -> "Table":
    """The rows in which the number of that name is not NaN."""
    import numpy as np

    known = ~np.isnan(columns[name])
    return {each: column[known] for each, column in columns.items()}


def _worded(summary: str, document: str | None) -> Numbers:
    ours = wording.words(summary)
    counts: Numbers = [len(ours), not ours, None, wording.repetitive(ours)]
    if document is None:
        return [*(None for _ in wording.ORDERS), None, *counts]
    theirs = wording.words(document)
    counts[2] = wording.copied(ours, theirs)
    return [*wording.novel(ours, theirs), len(theirs), *counts]

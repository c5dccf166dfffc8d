"""How far a mean may be trusted: what it would have been with other documents of the same kind.

The documents are drawn again, with replacement, as many as there are, 1,000 times over, with a
fixed seed; the middle 95 % of the means so found are its interval (Efron and Tibshirani 1993;
ROUGE-1.5.5 gives the same). Two systems are compared on the same draws (the paired bootstrap of
Koehn 2004, "Statistical significance tests for machine translation evaluation").
"""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Columns = Mapping[str, NDArray[np.float64]]
    """By name, numbers of the same documents, one at least; none of them NaN."""

DRAWS = 1000
SEED = 0
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Score:
    """A mean, and its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """A mean of differences over the same documents, and its 95 % interval."""

    mean: float
    low: float
    high: float
    p: float
    """The share of draws on the other side of 0, doubled, since either side is asked for: 1
    where there is no difference or one document alone, 0.002 at the least."""


def said() -> dict[str, float]:
    """What the intervals are made with, for those who want the same numbers."""
    return {"draws": DRAWS, "seed": SEED, "confidence": CONFIDENCE}


def scores(columns: "Columns") -> dict[str, Score]:
    found = _drawn_means(columns)
    return {name: Score(fmean(column), *_middle(found[name])) for name, column in columns.items()}


def differences(columns: "Columns") -> dict[str, Difference]:
    """Of columns that hold differences, document by document."""
    found = _drawn_means(columns)
    return {
        # One document is drawn again and again: that says nothing of any other.
        name: Difference(
            fmean(column), *_middle(found[name]), _p(found[name]) if len(column) > 1 else 1.0
        )
        for name, column in columns.items()
    }


def _drawn_means(columns: "Columns") -> "Columns":
    """The mean of each draw; all columns share the draws, and so do all calls."""
    import numpy as np

    table = np.column_stack(list(columns.values()))
    generator = np.random.default_rng(SEED)
    count = len(table)
    means = np.empty((DRAWS, len(columns)))
    for draw in range(DRAWS):
        # How often each document was drawn, in the place of the rows: the same mean, sooner.
        times = np.bincount(generator.integers(0, count, count), minlength=count)
        means[draw] = times @ table / count
    return dict(zip(columns, means.T, strict=True))


def _middle(drawn: "NDArray[np.float64]") -> tuple[float, float]:
    import numpy as np

    outside = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(drawn, [outside, 100 - outside])
    return float(low), float(high)


def _p(drawn: "NDArray[np.float64]") -> float:
    """One is added to both counts: no number of draws can say that it is 0."""
    wrong = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    return min(1.0, 2 * (wrong + 1) / (len(drawn) + 1))

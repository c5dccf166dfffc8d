"""How numbers are spread: quartiles, and a histogram whose bins are round numbers."""

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BINS = 12


@dataclass(frozen=True, slots=True)
class Quartiles:
    """A quarter of the numbers is below `low`, half below `median`, a quarter above `high`."""

    low: float
    median: float
    high: float


@dataclass(frozen=True, slots=True)
class Bin:
    """How many documents have `start` to `stop - 1` words."""

    start: int
    stop: int
    documents: int


def quartiles(numbers: "NDArray[np.float64]") -> Quartiles | None:
    """None of none."""
    import numpy as np

    if not len(numbers):
        return None
    low, median, high = np.percentile(numbers, [25, 50, 75])
    return Quartiles(float(low), float(median), float(high))


def histogram(numbers: "NDArray[np.float64]") -> list[Bin]:
    """Of whole numbers: at most 12 bins of equal width, 1, 2 or 5 times a power of ten, and a
    last one for what is far above nearly all."""
    import numpy as np

    if not len(numbers):
        return []
    # One summary of ten thousand words would leave a single bin for all the others.
    usual = int(np.percentile(numbers, 99))
    width = _width(int(numbers.min()), usual)
    first = int(numbers.min()) // width * width
    starts = list(range(first, usual + 1, width))
    stops = [*starts[1:], starts[-1] + width]
    most = int(numbers.max())
    if most >= stops[-1]:
        starts, stops = [*starts, stops[-1]], [*stops, most + 1]
    counts, _ = np.histogram(numbers, [*starts, stops[-1]])
    return [Bin(*each) for each in zip(starts, stops, map(int, counts), strict=True)]


def _width(least: int, most: int) -> int:
    for power in count():
        for digit in (1, 2, 5):
            width: int = digit * 10**power
            if most // width - least // width < _BINS:
                return width
    raise AssertionError

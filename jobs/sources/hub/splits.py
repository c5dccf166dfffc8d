"""Slices of splits, `train[:10%]`, as ranges of rows: parsed and rounded as `datasets` does.

Rows are counted only where a slice needs it: for percents, and where it counts from the end.
"""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass

from jobs.errors import UsageError

_COUNTED = re.compile(r"%|\[\s*-|:\s*-")
_HOW = "write train, train[:10%], train[100:200], train[-5%:], or several with +"


@dataclass(frozen=True, slots=True)
class Range:
    """Rows `[first, last)` of a split; `last` None is its end."""

    split: str
    first: int = 0
    last: int | None = None


def names(text: str) -> list[str]:
    """The splits that are named, in their order."""
    return [part.partition("[")[0].strip() for part in text.split("+")]


def ranges(text: str, count: Callable[[str], int]) -> list[Range]:
    """`count` says how many rows a split has. Raises UsageError."""
    return [_range(part.strip(), text, count) for part in text.split("+")]


def _range(part: str, text: str, count: Callable[[str], int]) -> Range:
    from datasets import ReadInstruction

    [split] = names(part)
    try:
        instruction = ReadInstruction.from_spec(part)
        rows = count(split) if _COUNTED.search(part) else sys.maxsize
        [slice_] = instruction.to_absolute({split: rows})
    except (ValueError, AssertionError) as error:
        reason = next(iter(str(error).splitlines()), "")
        raise UsageError(f"split {text!r}: {reason}; {_HOW}") from None
    last = None if slice_.to == sys.maxsize else slice_.to
    return Range(split, slice_.from_, last)

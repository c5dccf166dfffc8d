"""Slices of splits, `train[:10%]`, as ranges of rows: parsed and rounded as `datasets` does.

Rows are counted only where a slice needs it: for percents, and where it counts from the end.
"""

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jobs.errors import UsageError

_COUNTED = re.compile(r"%|\[\s*-|:\s*-")
_HOW = "write train, train[:10%], train[100:200], train[-5%:] or train+test"


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


def joined(
    several: Sequence[Range], text: str, count: Callable[[str], int]
) -> tuple[int, int | None]:
    """The same rows of their splits, one after the other: the first, and where to stop.

    Raises UsageError where rows between them are left out.
    """
    before, last = several[:-1], several[-1]
    if any(each.last is not None for each in before) or any(each.first for each in several[1:]):
        raise UsageError(f"split {text!r}: leaves out rows between them; submit a job for each")
    if last.last is None:
        return several[0].first, None
    return several[0].first, sum(count(each.split) for each in before) + last.last


def _range(part: str, text: str, count: Callable[[str], int]) -> Range:
    from datasets import ReadInstruction

    [split] = names(part)
    rows = count(split) if _COUNTED.search(part) else sys.maxsize
    try:
        # Whatever it is called: `partial-train` is no name for `datasets`.
        instruction = ReadInstruction.from_spec("split" + part.removeprefix(split))
        [of_split] = instruction.to_absolute({"split": rows})
    except (ValueError, AssertionError) as error:
        reason = next(iter(str(error).splitlines()), "")
        raise UsageError(f"split {text!r}: {reason}; {_HOW}") from None
    return Range(split, of_split.from_, None if of_split.to >= rows else of_split.to)

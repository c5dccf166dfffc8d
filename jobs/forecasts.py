"""How long a job will take, from what others like it took: a range that a user can plan by.

Arithmetic alone: knows no SQL, reads no clock. What a document costs is something by itself
and something by the token, neither of them less than nothing; so the truth lies between what
the documents would take if all of them cost the same and what they would take if all of their
tokens did. Both ends are then moved apart by how much shards have differed. How well this does
is measured in docs/forecasts.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import sqrt
from statistics import fmean, stdev

from jobs.windows import RunWindow

# No forecast is better than this: machines are shared, and are faster on one day than another.
_NARROWEST = 0.15
# Where nothing is known of the documents' lengths.
_WIDEST = 0.5
# How many standard errors of the mean a range takes in.
_ERRORS = 2.0
# With other parameters, more beams or longer summaries, a document may take twice as long.
_OTHER_PARAMETERS = 2.0
# A job whose last document is stored is closed in the dispatcher's next turn.
CLOSING = 2.0
# Beyond a year of work nobody asks in which night it ends.
_LONGEST = 366 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Range:
    low: float
    high: float

    def times(self, low: float, high: float) -> "Range":
        return Range(self.low * low, self.high * high)


@dataclass(frozen=True, slots=True)
class Done:
    """A shard that is done: documents that went through the model, and what they took."""

    job_id: str
    documents: int
    input_tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a model has been: shards that are done, one at least."""

    done: Sequence[Done]
    same_parameters: bool
    """Whether they were made with the parameters that are asked for."""

    @property
    def documents(self) -> int:
        return sum(each.documents for each in self.done)

    @property
    def seconds(self) -> float:
        return sum(each.seconds for each in self.done)

    @property
    def a_document(self) -> float:
        """Seconds."""
        return self.seconds / self.documents

    @property
    def a_token(self) -> float | None:
        """Seconds; None where no tokens were counted."""
        tokens = sum(each.input_tokens for each in self.done)
        return self.seconds / tokens if tokens else None


@dataclass(frozen=True, slots=True)
class Load:
    """What is to be done."""

    documents: float
    shards: int
    lengths: Sequence[int]
    """Input tokens of some of the documents, as the model will read them; none where nobody has
    looked."""


def device_seconds(speed: Speed, load: Load) -> Range:
    """Of all workers together, the loading of the model left out."""
    all_alike = load.documents * speed.a_document
    ends = [all_alike]
    if load.lengths and speed.a_token is not None:
        ends.append(load.documents * fmean(load.lengths) * speed.a_token)
    found = Range(min(ends), max(ends))
    if not speed.same_parameters:
        return found.times(1 / _OTHER_PARAMETERS, _OTHER_PARAMETERS)
    off = _off(speed, load)
    return found.times(1 - off, 1 + off)


def wall_seconds(
    work: Range, load: Load, workers: int, window: RunWindow | None, at: datetime
) -> Range:
    """From `at` until a job is over that has so many workers to itself, and only the hours of
    its window."""
    at_once = min(workers, load.shards)
    # Several workers do not end together: the last one may begin a whole shard late.
    tail = work.high / load.shards / 2 if at_once > 1 else 0.0
    return Range(
        on_the_clock(window, at, work.low / at_once),
        on_the_clock(window, at, work.high / at_once + tail) + CLOSING,
    )


def on_the_clock(window: RunWindow | None, at: datetime, seconds: float) -> float:
    """How long from `at` until `seconds` of work are done that goes on only in its hours."""
    if window is None or seconds > _LONGEST:
        return seconds
    now = at.astimezone(UTC)
    return (window.after(now, seconds) - now).total_seconds()


def _off(speed: Speed, load: Load) -> float:
    """How far both ends may be off, as a share of themselves."""
    if not load.lengths:
        return _WIDEST
    ours = sqrt(_shards_differ(speed, load) ** 2 + _error(load.lengths) ** 2)
    return min(_WIDEST, _NARROWEST + _ERRORS * ours)


def _shards_differ(speed: Speed, load: Load) -> float:
    """The standard error of a mean over the shards of `load`, as a share of that mean."""
    mean = speed.a_document
    squares = sum(
        each.documents * (each.seconds / each.documents - mean) ** 2 for each in speed.done
    )
    differ = sqrt(squares / speed.documents) / mean
    # The shards of one job were done in the same hours: together they say as much as one.
    seen = len({each.job_id for each in speed.done})
    seen = len(speed.done) if seen == 1 else seen
    return differ * sqrt(1 / seen + 1 / load.shards)


def _error(lengths: Sequence[int]) -> float:
    """The standard error of their mean, as a share of it."""
    mean = fmean(lengths)
    if len(lengths) < 2 or not mean:
        return _WIDEST
    return stdev(lengths) / mean / sqrt(len(lengths))

"""When a job that is running will be over, as a range that a user can plan by.

From what its documents took so far, not from the clock since it was submitted: pauses,
shut windows and the loading of models are left out, and a window that shuts before the
end is counted in. How well this does is measured in docs/forecasts.md.
"""

from dataclasses import dataclass
from math import ceil, floor, sqrt

from jobs.errors import UsageError
from jobs.forecasts import CLOSING, on_the_clock
from jobs.states import JobStatus
from jobs.store.jobs import JobRecord, Pace
from jobs.windows import RunWindow

# Of a job whose first shards are still running little is known: a shard's longest documents
# come first.
_WIDEST = 0.5
# No forecast is better than this: machines are shared, and the last documents may be the longest.
_NARROWEST = 0.1
# How many standard errors of the mean a range takes in.
_ERRORS = 2.0


@dataclass(frozen=True, slots=True)
class Eta:
    """Seconds until the job is over, as a range."""

    low: int
    high: int


def eta(job: JobRecord, workers: int) -> Eta | None:
    """None where the job is not in progress, nothing is done yet, or no worker is alive."""
    done = job.completed + job.failed
    pace = job.pace
    if job.status != JobStatus.IN_PROGRESS or not workers or job.total is None or pace is None:
        return None
    if not done or not pace.busy_seconds:
        return None
    a_document = pace.busy_seconds / done
    pending = job.total - done
    # The first shards of a job are smaller than its others.
    shard_size = min(job.shard_size, ceil(done / pace.shards)) if pace.shards else job.shard_size
    shards_left = max(1, ceil(pending / shard_size))
    at_once = min(pace.workers or workers, shards_left)
    seconds = pending * a_document / at_once
    try:
        window = None if job.run_window is None else RunWindow.parse(job.run_window)
    except UsageError:  # a time zone that only the submitter's machine knows
        return None
    spread = _spread(pace, a_document)
    # Several workers do not end together: the last one may begin a whole shard late.
    tail = shard_size * a_document / 2 if at_once > 1 else 0.0
    return Eta(
        low=floor(on_the_clock(window, pace.at, seconds * (1 - spread))),
        high=ceil(on_the_clock(window, pace.at, seconds * (1 + spread) + tail) + CLOSING),
    )


def _spread(pace: Pace, a_document: float) -> float:
    """How far the mean may be off, as a share of itself, judged by how much shards differ."""
    if pace.spread is None:
        return _WIDEST
    error = pace.spread / a_document / sqrt(pace.shards)
    return min(_WIDEST, _NARROWEST + _ERRORS * error)

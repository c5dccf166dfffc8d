"""What became of a job, in one line, for a person who looks in at eight in the morning.

Pure: a job as it stands and the time it is, in the zone of whoever reads it.
"""

from datetime import datetime, timedelta

from producer.forecast import Eta
from producer.status import JobStatusView

# Below this a time from now is easier to read than a time of day, in seconds.
_SOON = 3600

_MINUTE = 60


def line(job: JobStatusView, now: datetime) -> str:
    """One sentence without its full stop. `now` is aware; times are said in its zone."""
    if job.status == "completed" and job.dry_run:
        return f"Dry run done {_at(job.finished_at, now)}"
    says = {
        "validating": _validating,
        "in_progress": _in_progress,
        "paused": _paused,
        "finalizing": _finalizing,
        "cancelling": _cancelling,
        "completed": _completed,
        "failed": _failed,
        "cancelled": _cancelled,
        "expired": _expired,
    }[job.status]
    return says(job, now)


def chip(job: JobStatusView) -> tuple[str, str]:
    """The status in a word, and how it is shown: `good`, `warn`, `bad`, `busy` or nothing."""
    if job.status == "completed" and job.dry_run:
        return "Dry run", ""
    if job.status == "completed" and job.counts.failed:
        return "Some failed", "warn"
    return {
        "validating": ("Checking", "busy"),
        "in_progress": ("Running", "busy"),
        "paused": ("Paused", "warn"),
        "finalizing": ("Finishing", "busy"),
        "cancelling": ("Cancelling", ""),
        "completed": ("Done", "good"),
        "failed": ("Failed", "bad"),
        "cancelled": ("Cancelled", ""),
        "expired": ("Out of time", "bad"),
    }[job.status]


def day_and_time(at: float, now: datetime) -> str:
    """Of a unix time: the time of day, and the day where it is another one than today."""
    then = datetime.fromtimestamp(at, now.tzinfo)
    if then.date() == now.date():
        return f"{then:%H:%M}"
    day = f"{then.day} {then:%b}" + ("" if then.year == now.year else f" {then.year}")
    return f"{day}, {then:%H:%M}"


def _validating(job: JobStatusView, _: datetime) -> str:
    return _waiting(job) or "The model and the documents are being looked at"


def _in_progress(job: JobStatusView, now: datetime) -> str:
    done = _so_far(job)
    if job.eta_seconds is not None:
        return f"{done}, {_ready(job.eta_seconds, now)}"
    if waiting := _waiting(job):
        return f"{done}. {waiting}"
    return f"{done}, runs {job.window}" if job.window else done


def _paused(job: JobStatusView, _: datetime) -> str:
    return f"Paused, {_so_far(job)}"


def _finalizing(job: JobStatusView, _: datetime) -> str:
    return f"{_so_far(job)}, about to end"


def _cancelling(job: JobStatusView, _: datetime) -> str:
    return f"Being cancelled, {_so_far(job)}"


def _completed(job: JobStatusView, now: datetime) -> str:
    parts = [
        f"Done {_at(job.finished_at, now)}",
        _counted(job.counts.completed, "summary", "summaries"),
    ]
    if job.counts.failed:
        parts.append(f"{job.counts.failed:,} failed")
    if job.throughput is not None:
        parts.append(_rate(job.throughput.documents_per_second))
    return ", ".join(parts)


def _failed(job: JobStatusView, now: datetime) -> str:
    reason = (job.error or {}).get("message", "")
    return f"Failed {_at(job.finished_at, now)}" + (f": {reason}" if reason else "")


def _cancelled(job: JobStatusView, now: datetime) -> str:
    return f"Cancelled {_at(job.finished_at, now)}, {_so_far(job)}"


def _expired(job: JobStatusView, now: datetime) -> str:
    return f"Out of time {_at(job.finished_at, now)}, {_so_far(job)}"


def _so_far(job: JobStatusView) -> str:
    counts = job.counts
    if counts.total is None:
        return "not begun"
    said = f"{counts.completed + counts.failed:,} of {counts.total:,} done"
    return f"{said}, {counts.failed:,} failed" if counts.failed else said


def _waiting(job: JobStatusView) -> str:
    """The last error that may pass."""
    return f"Waiting: {job.note['message']}" if job.note else ""


def _ready(eta: Eta, now: datetime) -> str:
    if eta.high < _SOON:
        return f"ready in {_minutes(eta)}"
    low, high = now + timedelta(seconds=eta.low), now + timedelta(seconds=eta.high)
    said = [day_and_time(each.timestamp(), now) for each in (low, high)]
    return f"ready at {said[0]}" if said[0] == said[1] else f"ready between {said[0]} and {said[1]}"


def _minutes(eta: Eta) -> str:
    if eta.high <= 90:
        return f"{eta.low} to {eta.high} seconds" if eta.low != eta.high else f"{eta.low} seconds"
    low, high = eta.low // _MINUTE, -(-eta.high // _MINUTE)
    if low == high:
        return f"{low} minutes"
    return f"{low} to {high} minutes" if low else f"less than {high} minutes"


def _rate(a_second: float) -> str:
    a_minute = a_second * _MINUTE
    return f"{a_minute:,.0f} a minute" if a_minute >= 1 else f"{a_minute * 60:,.1f} an hour"


def _at(unix: int | None, now: datetime) -> str:
    return "" if unix is None else day_and_time(unix, now)


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"

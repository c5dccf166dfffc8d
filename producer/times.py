"""Times as people write them: durations (`30d`, `1h30m`) and deadlines (`8h`, `07:00`).

A time without an offset is the local time of this machine. One that its clocks
skip or show twice, where daylight saving starts or ends, is read as the later
of the two readings of PEP 495: a deadline then leaves more time, not less, as
the end of a run window does.
"""

import re
from datetime import UTC, datetime, timedelta

from jobs.errors import UsageError

_SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
# Each unit at most once, the longest first: 1h30m.
_DURATION = re.compile("(?=.)" + "".join(rf"(?:([0-9]+(?:\.[0-9]+)?){unit})?" for unit in _SECONDS))
_CLOCK = re.compile(r"[0-9]{1,2}:[0-9]{2}")
# `fromisoformat` takes a bare date too, as its first moment; as a deadline it could mean its last.
_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}.*")
_LONGEST = timedelta(days=36_525)
_DAY = timedelta(days=1)


def duration(text: str) -> float:
    """Seconds, from weeks (w), days (d), hours (h), minutes (m) and seconds (s).

    Raises UsageError for anything else, and for more than 100 years.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        how = "write numbers with units, as in 30d, 8h or 1h30m; the units are w, d, h, m and s"
        raise UsageError(f"duration {text!r}: {how}")
    parts = zip(match.groups(default="0"), _SECONDS.values(), strict=True)
    seconds = sum(float(number) * unit for number, unit in parts)
    if seconds > _LONGEST.total_seconds():
        raise UsageError(f"duration {text!r}: write one of at most 100 years (36525d)")
    return seconds


def deadline(text: str, now: datetime) -> datetime:
    """An instant after `now`, in UTC: a duration from `now`, a timestamp, or the next `HH:MM`.

    `now` is aware. Raises UsageError for what is none of these, or is not to come.
    """
    try:
        moment = _utc(_moment(text.strip(), now))
    except (ValueError, OverflowError):
        how = "write it as 8h, 07:00, 2026-11-25T07:00 or 2026-11-25T07:00+01:00"
        raise UsageError(f"deadline {text!r}: {how}") from None
    _refuse_past(moment, now, text)
    return moment


def to_come(moment: datetime, now: datetime) -> datetime:
    """`moment` in UTC, by this machine's time zone where it names none.

    Raises UsageError where it is not after `now`.
    """
    found = _utc(moment)
    _refuse_past(found, now, str(moment))
    return found


def _refuse_past(moment: datetime, now: datetime, given: str) -> None:
    if moment <= now:
        over = f"{moment:%Y-%m-%d %H:%M:%S} UTC is over; give a time to come"
        raise UsageError(f"deadline {given!r}: {over}")


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else _from_local(moment)


def _moment(text: str, now: datetime) -> datetime:
    """Aware, or local. Raises ValueError or OverflowError where `text` is no time."""
    if _DURATION.fullmatch(text):
        return now.astimezone(UTC) + timedelta(seconds=duration(text))
    if _CLOCK.fullmatch(text):
        return _next(text, now)
    if not _TIMESTAMP.fullmatch(text):
        raise ValueError
    return datetime.fromisoformat(text)


def _next(text: str, now: datetime) -> datetime:
    """When the clocks here next show `text`, the time now not among them."""
    clock = datetime.strptime(text, "%H:%M").time()
    today = datetime.combine(now.astimezone().date(), clock)
    moment = _from_local(today)
    return moment if moment > now else _from_local(today + _DAY)


def _from_local(moment: datetime) -> datetime:
    """The later of its readings by this machine's time zone."""
    return max(moment.replace(fold=fold).astimezone(UTC) for fold in (0, 1))

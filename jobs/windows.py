"""Run windows: the hours of the day in which a job may run, as the clocks of a time zone show them.

    22:00-07:00 Europe/Berlin

Knows no job and reads no clock: text and instants in, instants out.

When daylight saving starts, clocks skip some times of day; when it ends, they
show some twice. PEP 495 reads each of these in two ways, by the offset before
the change and by the one after it. A window takes the wider: it opens at the
earlier reading and closes at the later. Where it would so open before its last
interval has closed, it opens as that one closes.
"""

import difflib
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from jobs.errors import UsageError

_WINDOW = re.compile(r"([0-9:]+)\s*-\s*([0-9:]+)(?:\s+(.+))?", re.DOTALL)
_EXAMPLE = '"22:00-07:00 Europe/Berlin"'
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class RunWindow:
    """Open each day from `opens` until before `closes`, into the next day if `closes` is no later.

    `str()` gives the text that `parse` reads.
    """

    opens: time
    closes: time
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str) -> "RunWindow":
        """Raises UsageError, in one line, for what is not a window in a known time zone."""
        try:
            opens, closes, zone = _parts(text)
        except ValueError:
            how = f"write it as {_EXAMPLE}, with times from 00:00 to 23:59"
            raise UsageError(f"window {text!r}: {how}") from None
        if opens == closes:
            how = "leave the window out to let the job run at any time"
            raise UsageError(f"window {text!r}: opens and closes at the same time; {how}")
        if not zone:
            how = f"as in {_EXAMPLE}, or UTC"
            raise UsageError(f"window {text!r}: name the time zone after the times, {how}")
        return cls(opens, closes, _zone(zone, text))

    def __str__(self) -> str:
        return f"{self.opens:%H:%M}-{self.closes:%H:%M} {self.zone.key}"

    def interval(self, now: datetime) -> tuple[datetime, datetime]:
        """The interval that holds `now`, else the next one: `opens_at <= t < closes_at`, in UTC.

        Intervals are never empty and never overlap; where clocks change, two may touch.
        """
        # Two days back lies the first that can hold `now`: clocks set back past midnight show
        # again what they showed yesterday, so that what closes then is still open.
        day = now.astimezone(self.zone).date() - 3 * _DAY
        _, last_closed = self._wide(day)
        while True:
            day += _DAY
            opens_at, closes_at = self._wide(day)
            # Not empty: here `last_closed <= now < closes_at`.
            if now < closes_at:
                return max(opens_at, last_closed), closes_at
            last_closed = closes_at

    def after(self, now: datetime, seconds: float) -> datetime:
        """When `seconds` of work that begin at `now` are done, if it goes on only while open: UTC.

        Goes from one interval to the next, so that its time grows with their number. Raises
        OverflowError where the end is after the year 9999.
        """
        at, left = now.astimezone(UTC), timedelta(seconds=seconds)
        while True:
            opens_at, closes_at = self.interval(at)
            at = max(at, opens_at)
            if left <= closes_at - at:
                return at + left
            left -= closes_at - at
            at = closes_at

    def _wide(self, day: date) -> tuple[datetime, datetime]:
        """From the earliest reading of `opens` on `day` to the latest of `closes` after it."""
        last = day if self.opens < self.closes else day + _DAY
        return min(self._readings(day, self.opens)), max(self._readings(last, self.closes))

    def _readings(self, day: date, clock: time) -> list[datetime]:
        local = datetime.combine(day, clock, self.zone)
        return [local.replace(fold=fold).astimezone(UTC) for fold in (0, 1)]


def _parts(text: str) -> tuple[time, time, str]:
    """The zone is empty where none is given. Raises ValueError."""
    match = _WINDOW.fullmatch(text.strip())
    if match is None:
        raise ValueError
    opens, closes = (datetime.strptime(word, "%H:%M").time() for word in match.group(1, 2))
    return opens, closes, match[3] or ""


def _zone(key: str, text: str) -> ZoneInfo:
    try:
        zone = ZoneInfo(key)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        zone = None  # ValueError: no name or no zone's file; OSError: a folder, such as "Europe"
    # Many machines have a file of this name, which means another zone on each.
    if zone is not None and key != "localtime":
        return zone
    near = _nearest(key)
    hint = f"did you mean {near}?" if near else "name one as Europe/Berlin or UTC"
    raise UsageError(f"window {text!r}: unknown time zone {key!r}; {hint}")


def _nearest(key: str) -> str | None:
    """The zone whose name, or whose city, is most like `key`."""
    # Not Etc/GMT+2 and its like: its sign is the other way round from what people write.
    zones = [name for name in available_timezones() if "/" in name and "Etc/" not in name]
    names = {name.rpartition("/")[2].lower(): name for name in sorted(zones)}
    names |= {name.lower(): name for name in ("UTC", *zones)}
    near = difflib.get_close_matches(key.lower().replace(" ", "_"), names, n=1, cutoff=0.8)
    return names[near[0]] if near else None

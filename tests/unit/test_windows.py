"""Run windows: what their text may say, and when they are open, also where clocks change."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jobs.errors import UsageError
from jobs.windows import RunWindow

Interval = tuple[datetime, datetime]

# Half an hour of daylight saving; none; clocks set back past midnight (2010-11-07); a day left
# out (2011-12-30).
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Pacific/Apia",
]
HOUR = 3600


def _text(opens: int, length: int, zone: str) -> str:
    closes = (opens + length) % 1440
    return f"{opens // 60:02}:{opens % 60:02}-{closes // 60:02}:{closes % 60:02} {zone}"


# Minutes after midnight and minutes long: 1 to 1439, so up to 23:59 h.
TEXTS = st.builds(_text, st.integers(0, 1439), st.integers(1, 1439), st.sampled_from(ZONES))
WINDOWS = TEXTS.map(RunWindow.parse)
CHANGES = [
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 4, 4, 15, tzinfo=UTC),
    datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    datetime(2010, 11, 7, 2, 31, tzinfo=UTC),
    datetime(2011, 12, 30, 10, tzinfo=UTC),
]
MOMENTS = st.datetimes(
    datetime(2009, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)
) | st.builds(
    lambda change, hours: change + timedelta(hours=hours),
    st.sampled_from(CHANGES),
    st.floats(-50, 50),
)


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _interval(text: str, now: str) -> tuple[str, str]:
    opens_at, closes_at = RunWindow.parse(text).interval(_utc(now))
    return f"{opens_at:%Y-%m-%d %H:%M}", f"{closes_at:%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("22:00-07:00 Europe/Berlin", "22:00-07:00 Europe/Berlin"),
        ("  7:00 - 9:30   UTC ", "07:00-09:30 UTC"),
        ("00:00-23:59 America/Port-au-Prince", "00:00-23:59 America/Port-au-Prince"),
        ("0:01-0:00 Etc/GMT-2", "00:01-00:00 Etc/GMT-2"),
    ],
)
def test_text_is_read_and_written_in_one_way(text: str, canonical: str) -> None:
    window = RunWindow.parse(text)
    assert str(window) == canonical
    assert RunWindow.parse(canonical) == window


@given(TEXTS)
def test_there_and_back(text: str) -> None:
    assert str(RunWindow.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", 'write it as "22:00-07:00 Europe/Berlin"'),
        ("at night", 'write it as "22:00-07:00 Europe/Berlin"'),
        ("22-7 UTC", "with times from 00:00 to 23:59"),
        ("22:00-24:00 UTC", "with times from 00:00 to 23:59"),
        ("22:60-07:00 UTC", "with times from 00:00 to 23:59"),
        ("22:00-07:00Europe/Berlin", 'write it as "22:00-07:00 Europe/Berlin"'),
        ("22:00-07:00", "name the time zone after the times"),
        ("07:00-7:00 UTC", "opens and closes at the same time"),
        ("22:00-07:00 europe/berlin", "did you mean Europe/Berlin?"),
        ("22:00-07:00 Berln", "did you mean Europe/Berlin?"),
        ("22:00-07:00 New York", "did you mean America/New_York?"),
        ("22:00-07:00 utc", "did you mean UTC?"),
        ("22:00-07:00 Xyzzy", "name one as Europe/Berlin or UTC"),
        ("22:00-07:00 GMT+2", "name one as Europe/Berlin or UTC"),
        ("22:00-07:00 Europe", "unknown time zone 'Europe'"),
        ("22:00-07:00 localtime", "unknown time zone 'localtime'"),
        ("22:00-07:00 ../UTC", "unknown time zone '../UTC'"),
        ("22:00-07:00 U\nTC", r"unknown time zone 'U\nTC'"),
        ("22:00-07:00 U\0TC", r"unknown time zone 'U\x00TC'"),
        ("22:00-07:00 zone.tab", "unknown time zone 'zone.tab'"),
    ],
)
def test_what_is_no_window_is_refused_in_one_line(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        RunWindow.parse(text)
    message = str(caught.value)
    assert message.startswith(f"window {text!r}: ")
    assert says in message
    assert "\n" not in message


# Few: each unknown zone is compared with the names of all.
@settings(max_examples=30)
@given(st.text() | st.from_regex(r"[0-9]{1,2}:[0-9]{2}-[0-9]{1,2}:[0-9]{2} .+"))
def test_any_text_is_a_window_or_a_usage_error(text: str) -> None:
    try:
        window = RunWindow.parse(text)
    except UsageError:
        return
    assert RunWindow.parse(str(window)) == window


@pytest.mark.parametrize(
    ("now", "opens_at", "closes_at"),
    [
        ("2026-01-10 12:00", "2026-01-10 21:00", "2026-01-11 06:00"),
        ("2026-01-10 21:00", "2026-01-10 21:00", "2026-01-11 06:00"),
        ("2026-01-11 05:59", "2026-01-10 21:00", "2026-01-11 06:00"),
        ("2026-01-11 06:00", "2026-01-11 21:00", "2026-01-12 06:00"),
        ("2026-07-10 12:00", "2026-07-10 20:00", "2026-07-11 05:00"),
        # The nights of the changes: one hour shorter, one hour longer.
        ("2026-03-29 03:00", "2026-03-28 21:00", "2026-03-29 05:00"),
        ("2026-10-25 03:00", "2026-10-24 20:00", "2026-10-25 06:00"),
    ],
)
def test_a_window_across_midnight(now: str, opens_at: str, closes_at: str) -> None:
    assert _interval("22:00-07:00 Europe/Berlin", now) == (opens_at, closes_at)


@pytest.mark.parametrize(
    ("text", "now", "opens_at", "closes_at"),
    [
        # Berlin's clocks skip 02:00 to 03:00: read as 01:30 before and as 03:30 after the change.
        ("02:30-05:00 Europe/Berlin", "2026-03-29", "2026-03-29 00:30", "2026-03-29 03:00"),
        ("22:00-02:30 Europe/Berlin", "2026-03-29", "2026-03-28 21:00", "2026-03-29 01:30"),
        ("02:00-03:00 Europe/Berlin", "2026-03-29", "2026-03-29 00:00", "2026-03-29 01:00"),
        ("02:15-02:45 Europe/Berlin", "2026-03-29", "2026-03-29 00:15", "2026-03-29 01:45"),
        # They show 02:00 to 03:00 twice: from the first 02:30, to the second.
        ("02:30-05:00 Europe/Berlin", "2026-10-25", "2026-10-25 00:30", "2026-10-25 04:00"),
        ("22:00-02:30 Europe/Berlin", "2026-10-25", "2026-10-24 20:00", "2026-10-25 01:30"),
        ("02:15-02:45 Europe/Berlin", "2026-10-25", "2026-10-25 00:15", "2026-10-25 01:45"),
    ],
)
def test_where_berlins_clocks_change(text: str, now: str, opens_at: str, closes_at: str) -> None:
    assert _interval(text, now) == (opens_at, closes_at)


@pytest.mark.parametrize(
    ("hours", "now", "opens_at", "closes_at"),
    [
        ("02:15-05:00", "2026-10-03 15:00", "2026-10-03 15:15", "2026-10-03 18:00"),
        ("22:00-02:15", "2026-10-03 15:00", "2026-10-03 11:30", "2026-10-03 15:45"),
        ("01:45-05:00", "2026-04-04 14:45", "2026-04-04 14:45", "2026-04-04 18:30"),
        ("22:00-01:45", "2026-04-04 15:00", "2026-04-04 11:00", "2026-04-04 15:15"),
    ],
)
def test_where_clocks_change_by_half_an_hour(
    hours: str, now: str, opens_at: str, closes_at: str
) -> None:
    assert _interval(f"{hours} Australia/Lord_Howe", now) == (opens_at, closes_at)


@pytest.mark.parametrize("month", ["2026-01", "2026-07"])
def test_without_daylight_saving_a_window_is_the_same_all_year(month: str) -> None:
    found = _interval("22:00-07:00 America/Sao_Paulo", f"{month}-10 12:00")
    assert found == (f"{month}-11 01:00", f"{month}-11 10:00")


@pytest.mark.parametrize(
    ("now", "first", "second"),
    [
        (
            "2026-03-28 12:00",
            ("2026-03-28 01:30", "2026-03-29 01:29"),
            ("2026-03-29 01:29", "2026-03-30 00:29"),
        ),
        (
            "2026-10-24 12:00",
            ("2026-10-24 00:30", "2026-10-25 01:29"),
            ("2026-10-25 01:29", "2026-10-26 01:29"),
        ),
    ],
)
def test_an_interval_that_would_overlap_the_last_begins_as_that_one_ends(
    now: str, first: tuple[str, str], second: tuple[str, str]
) -> None:
    text = "02:30-02:29 Europe/Berlin"
    assert _interval(text, now) == first
    assert _interval(text, first[1]) == second


def test_what_closed_yesterday_can_be_open_again_when_clocks_go_back_past_midnight() -> None:
    """St. John's went from 00:01 back to 23:01 the day before."""
    found = _interval("23:50-23:45 America/St_Johns", "2010-11-07 02:30")
    assert found == ("2010-11-06 02:20", "2010-11-07 03:15")


def test_an_interval_that_would_be_empty_is_left_out() -> None:
    """Apia's clocks went from the end of 2011-12-29 to the start of 2011-12-31: the window of the
    day between closes with that of the 31st."""
    text = "10:00-12:00 Pacific/Apia"
    first = _interval(text, "2011-12-29 00:00")
    second = _interval(text, first[1])
    assert first == ("2011-12-29 20:00", "2011-12-29 22:00")
    assert second == ("2011-12-29 22:00", "2011-12-30 22:00")
    assert _interval(text, second[1]) == ("2011-12-31 20:00", "2011-12-31 22:00")


def test_now_may_be_given_in_any_zone() -> None:
    window = RunWindow.parse("22:00-07:00 Europe/Berlin")
    now = _utc("2026-10-25 00:30")
    assert window.interval(now.astimezone(window.zone)) == window.interval(now)
    assert window.after(now.astimezone(window.zone), HOUR) == now + timedelta(hours=1)


@pytest.mark.parametrize(
    ("now", "hours", "done"),
    [
        ("2026-01-10 22:00", 3, "2026-01-11 01:00"),
        ("2026-01-10 22:00", 8, "2026-01-11 06:00"),
        ("2026-01-10 22:00", 9, "2026-01-11 22:00"),
        ("2026-01-10 12:00", 1, "2026-01-10 22:00"),
        ("2026-01-10 12:00", 0, "2026-01-10 21:00"),
        ("2026-01-10 12:00", 9 * 100 + 1, "2026-04-20 22:00"),
    ],
)
def test_work_waits_for_the_window(now: str, hours: int, done: str) -> None:
    """In the last, the hundred nights before are an hour short for the one of 2026-03-29."""
    window = RunWindow.parse("22:00-07:00 Europe/Berlin")
    assert window.after(_utc(now), hours * HOUR) == _utc(done)


def _following(window: RunWindow, now: datetime, count: int) -> list[Interval]:
    found = [window.interval(now)]
    while len(found) < count:
        found.append(window.interval(found[-1][1]))
    return found


@given(WINDOWS, MOMENTS)
@example(RunWindow.parse("23:50-23:49 America/St_Johns"), _utc("2010-11-07 02:30"))
@example(RunWindow.parse("02:30-02:29 Europe/Berlin"), _utc("2026-03-29 01:00"))
def test_intervals_follow_one_another_and_hold_what_the_clock_shows(
    window: RunWindow, now: datetime
) -> None:
    intervals = _following(window, now, 4)
    assert now < intervals[0][1]
    for opens_at, closes_at in intervals:
        assert opens_at < closes_at
        assert window.interval(opens_at) == (opens_at, closes_at)
        assert window.interval(closes_at - timedelta(microseconds=1)) == (opens_at, closes_at)
    for (_, closed_at), (opens_at, _) in pairwise(intervals):
        assert closed_at <= opens_at
    if _shown_open(window, now):
        assert intervals[0][0] <= now


def _shown_open(window: RunWindow, now: datetime) -> bool:
    """Whether a clock in the zone shows a time between the window's two: the narrow reading."""
    shown = now.astimezone(window.zone).time()
    if window.opens < window.closes:
        return window.opens <= shown < window.closes
    return shown >= window.opens or shown < window.closes


@given(WINDOWS, MOMENTS, st.integers(0, 14 * 24 * HOUR))
def test_work_takes_exactly_its_open_time(window: RunWindow, now: datetime, seconds: int) -> None:
    done = window.after(now, seconds)
    open_time = timedelta()
    at = now
    while True:
        opens_at, closes_at = window.interval(at)
        if opens_at >= done:
            break
        open_time += min(closes_at, done) - max(opens_at, now)
        at = closes_at
    assert open_time == timedelta(seconds=seconds)


@given(WINDOWS, MOMENTS, st.integers(0, 40_000), st.integers(1, 40_000))
def test_work_done_in_two_parts_takes_as_long(
    window: RunWindow, now: datetime, first: int, second: int
) -> None:
    assert window.after(window.after(now, first), second) == window.after(now, first + second)

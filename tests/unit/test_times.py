"""Durations and deadlines as people write them, on a machine in Berlin."""

import datetime as dt
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import UsageError
from producer.times import deadline, duration, to_come

NOW = datetime(2026, 11, 24, 20, 30, tzinfo=UTC)  # 21:30 in Berlin
UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}


@pytest.fixture(autouse=True, scope="module")
def berlin() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        # Berlin's rules spelled out: the C library has no zones of its own on slim images.
        patch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30d", 30 * 86_400),
        ("90s", 90),
        ("15m", 900),
        ("8h", 28_800),
        ("2w", 1_209_600),
        ("1h30m", 5_400),
        ("1w2d3h4m5s", 788_645),
        ("1.5h", 5_400),
        (" 0d ", 0),
        ("36525d", 36_525 * 86_400),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "30", "d", "30 d", "-30d", "30D", "30y", "30m1h", "1h1h", "1,5h", "month", "nand"]
)
def test_what_is_no_duration_says_how_to_write_one(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        duration(text)
    assert str(caught.value).startswith(f"duration {text!r}: write numbers with units, as in 30d")


@pytest.mark.parametrize("text", ["36526d", "9" * 400 + "s"])
def test_a_duration_beyond_a_century_is_a_slip(text: str) -> None:
    with pytest.raises(UsageError, match="at most 100 years"):
        duration(text)


@given(st.fixed_dictionaries({}, optional={unit: st.integers(0, 99) for unit in UNITS}))
def test_durations_add_up(numbers: dict[str, int]) -> None:
    ordered = [(unit, numbers[unit]) for unit in UNITS if unit in numbers]
    text = "".join(f"{number}{unit}" for unit, number in ordered)
    if text:
        assert duration(text) == sum(number * UNITS[unit] for unit, number in ordered)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("8h", "2026-11-25 04:30"),
        ("1h30m", "2026-11-24 22:00"),
        ("2026-11-25T07:00", "2026-11-25 06:00"),
        ("2026-11-25 07:00:30", "2026-11-25 06:00:30"),
        ("2027-07-01T07:00", "2027-07-01 05:00"),
        ("2026-11-25T07:00+01:00", "2026-11-25 06:00"),
        ("2026-11-25T07:00-03:00", "2026-11-25 10:00"),
        ("2026-11-25T07:00Z", "2026-11-25 07:00"),
        ("07:00", "2026-11-25 06:00"),
        (" 7:00 ", "2026-11-25 06:00"),
        ("21:31", "2026-11-24 20:31"),
        ("21:30", "2026-11-25 20:30"),
        # 02:30 is skipped on the one day and shown twice on the other: the later reading.
        ("2027-03-28T02:30", "2027-03-28 01:30"),
        ("2027-10-31T02:30", "2027-10-31 01:30"),
        ("2027-10-31T02:30+02:00", "2027-10-31 00:30"),
    ],
)
def test_deadlines(text: str, moment: str) -> None:
    found = deadline(text, NOW)
    assert found == datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert found.tzinfo is UTC


def test_todays_time_is_that_of_the_day_here() -> None:
    """A quarter past midnight was already, on what is still the day before in UTC."""
    now = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)
    assert deadline("00:15", now) == datetime(2026, 11, 25, 23, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "moment"),
    [
        ("2026-10-24 22:00", "2026-10-25 01:30"),
        ("2026-10-25 01:00", "2026-10-25 01:30"),
        ("2026-10-25 01:30", "2026-10-26 01:30"),
        ("2026-03-28 22:00", "2026-03-29 01:30"),
        ("2026-03-29 01:30", "2026-03-30 00:30"),
    ],
)
def test_the_next_half_past_two_where_the_clocks_change(now: str, moment: str) -> None:
    found = deadline("02:30", datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert found == datetime.fromisoformat(moment).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "8x",
        "24:00",
        "7",
        "2026-11-25",
        "2026-13-25T07:00",
        "2026-11-25T07:00 Europe/Berlin",
        "0001-01-01T00:00",
        "0001-01-01T00:00+14:00",
        "9999-12-31T23:59-14:00",
    ],
)
def test_what_is_no_deadline_says_how_to_write_one(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        deadline(text, NOW)
    assert str(caught.value) == (
        f"deadline {text!r}: write it as 8h, 07:00, 2026-11-25T07:00 or 2026-11-25T07:00+01:00"
    )


@pytest.mark.parametrize("text", ["2026-11-24T21:00", "2026-11-24T21:30+01:00", "0s"])
def test_a_deadline_that_is_over_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        deadline(text, NOW)
    message = str(caught.value)
    assert message.startswith(f"deadline {text!r}: 2026-11-24 20:")
    assert message.endswith(" UTC is over; give a time to come")


@given(
    st.times(),
    st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),
)
def test_a_bare_time_is_shown_within_a_day_or_so(clock: dt.time, now: datetime) -> None:
    found = deadline(f"{clock:%H:%M}", now)
    assert now < found <= now + timedelta(hours=25)


def test_a_moment_from_python() -> None:
    now = datetime(2026, 11, 24, 20, 30, tzinfo=UTC)
    assert to_come(now + timedelta(hours=1), now) == now + timedelta(hours=1)
    with pytest.raises(UsageError, match="is over"):
        to_come(datetime(2000, 1, 1), now)

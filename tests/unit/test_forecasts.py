"""How long a job will take, from what others like it took."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from jobs.forecasts import Done, Load, Range, Speed, device_seconds, wall_seconds
from jobs.windows import RunWindow

NOW = datetime(2026, 11, 24, 21, 0, tzinfo=UTC)

# Two seconds a document of 100 tokens.
SPEED = Speed([Done("job_a", 10, 1000, 20.0) for _ in range(20)], same_parameters=True)
LOAD = Load(documents=1000, shards=50, lengths=[100] * 64)


def test_documents_like_those_before_take_as_long() -> None:
    found = device_seconds(SPEED, LOAD)
    assert found.low < 2000 < found.high
    assert found.high - found.low < 700


@pytest.mark.parametrize(("tokens", "seconds"), [(200, 4000), (50, 1000)])
def test_between_the_cost_of_documents_and_that_of_tokens(tokens: int, seconds: int) -> None:
    """Twice as long a document takes longer, but no more than twice as long."""
    found = device_seconds(SPEED, replace(LOAD, lengths=[tokens] * 64))
    assert found.low < min(2000, seconds)
    assert found.high > max(2000, seconds)


def test_wider_where_less_is_known() -> None:
    uneven = [Done("job_a", 10, 1000, 20.0 + 10 * (-1) ** number) for number in range(20)]
    two_days = [replace(each, job_id=f"job_{each.seconds}") for each in uneven]
    widths = [
        _width(SPEED, LOAD),
        _width(replace(SPEED, done=uneven), LOAD),
        _width(replace(SPEED, done=two_days), LOAD),
        _width(SPEED, replace(LOAD, lengths=[])) + 1e-6,
        _width(replace(SPEED, same_parameters=False), LOAD),
    ]
    assert widths == sorted(set(widths))


def test_lengths_that_differ_and_few_of_them() -> None:
    many, few = [20, 180] * 500, [20, 180] * 5
    assert _width(SPEED, replace(LOAD, lengths=many)) < _width(SPEED, replace(LOAD, lengths=few))
    one = device_seconds(SPEED, replace(LOAD, lengths=[100]))
    assert one == Range(1000.0, 3000.0)


def test_several_workers_share_it() -> None:
    work = Range(1000.0, 1000.0)
    one, two = (wall_seconds(work, LOAD, workers, None, NOW) for workers in (1, 2))
    assert one == Range(1000.0, 1002.0)
    assert two == Range(500.0, 500.0 + 10 + 2), "and half a shard for the last one"
    alone = replace(LOAD, shards=1)
    assert wall_seconds(work, alone, 8, None, NOW) == one, "one shard is not shared"


def test_a_window_that_shuts_is_counted_in() -> None:
    window = RunWindow.parse("20:00-21:30 UTC")
    found = wall_seconds(Range(600.0, 3600.0), LOAD, 1, window, NOW)
    assert found.low == 600
    assert found.high == 23 * 3600 + 1800 + 2


def test_nothing_that_costs_anything() -> None:
    assert device_seconds(SPEED, replace(LOAD, documents=0, lengths=[])) == Range(0.0, 0.0)
    no_tokens = replace(SPEED, done=[Done("job_a", 10, 0, 20.0)])
    assert device_seconds(no_tokens, LOAD).high > 2000


def _width(speed: Speed, load: Load) -> float:
    found = device_seconds(speed, load)
    return found.high / found.low

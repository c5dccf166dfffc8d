"""The speed that is shown, and how durations are said."""

from producer.cli.output import duration
from producer.cli.watch import Speed


def test_speed_is_that_of_the_last_seconds() -> None:
    speed = Speed()
    assert speed.look(0, 0.0) is None
    assert speed.look(10, 10.0) == 1.0
    assert speed.look(400, 40.0) == 10.0
    assert speed.look(400, 45.0) == 390 / 35, "a pause between two batches is no standstill"
    assert Speed().look(5, 1.0) is None


def test_durations() -> None:
    assert [duration(s) for s in (4.4, 99, 600, 12_000)] == ["4 s", "99 s", "10 min", "3 h 20 min"]

"""When a job will be over, from what its documents took so far."""

from dataclasses import replace
from datetime import UTC, datetime

from jobs.job import Batching
from jobs.states import JobStatus
from jobs.store.jobs import JobRecord, Pace
from producer.forecast import eta

NOW = datetime(2026, 11, 24, 21, 0, tzinfo=UTC)

JOB = JobRecord(
    id="job_aaaaaaaaaaaa",
    owner=None,
    name=None,
    status=JobStatus.IN_PROGRESS,
    model="lead-1",
    model_revision="1",
    engine="lead",
    dtype=None,
    fallback=None,
    source={},
    requested={},
    parameters={},
    labels={},
    priority=0,
    total=1000,
    completed=190,
    failed=10,
    reused=0,
    input_tokens=0,
    output_tokens=0,
    batching=Batching(),
    error=None,
    note=None,
    created_at=NOW,
    started_at=NOW,
    finished_at=None,
    seconds=10_000.0,
    shard_size=100,
    dry_run=False,
    report=None,
    forecast=None,
    deadline=None,
    run_window=None,
    max_error_rate=None,
    webhook=None,
    delivery=None,
    pace=Pace(at=NOW, busy_seconds=400.0, workers=1, shards=2, spread=0.0),
)


def test_what_is_left_takes_as_long_as_what_is_done() -> None:
    """800 documents of 2 seconds; that the job was paused for hours does not count."""
    found = eta(JOB, workers=1)
    assert found is not None
    assert found.low < 1600 < found.high
    assert found.high - found.low < 400


def test_several_workers_share_it() -> None:
    one, two = eta(JOB, 1), eta(replace(JOB, pace=replace(_pace(), workers=2)), 2)
    assert one is not None
    assert two is not None
    assert two.high < one.low
    last = replace(JOB, completed=990, pace=replace(_pace(), workers=2))
    assert eta(last, 8) == eta(last, 1), "one shard is not shared"


def test_a_wider_range_where_less_is_known() -> None:
    unsure = eta(replace(JOB, pace=replace(_pace(), shards=0, spread=None)), 1)
    uneven = eta(replace(JOB, pace=replace(_pace(), spread=0.3)), 1)
    even = eta(JOB, 1)
    assert unsure is not None
    assert uneven is not None
    assert even is not None
    assert unsure.high > uneven.high > even.high
    assert unsure.low < uneven.low < even.low


def test_a_window_that_shuts_is_counted_in() -> None:
    """Half an hour is left of the window, and 800 documents of 9 seconds take two hours."""
    slow = replace(_pace(), busy_seconds=1800.0)
    found = eta(replace(JOB, run_window="20:00-21:30 UTC", pace=slow), 1)
    assert found is not None
    assert found.low > 22.5 * 3600


def test_no_forecast() -> None:
    assert eta(JOB, workers=0) is None
    assert eta(replace(JOB, status=JobStatus.PAUSED), 1) is None
    assert eta(replace(JOB, total=None), 1) is None
    assert eta(replace(JOB, completed=0, failed=0), 1) is None


def _pace() -> Pace:
    assert JOB.pace is not None
    return JOB.pace

"""What the page says of a job in one line."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from jobs.states import JobStatus
from producer.dashboard import verdict
from producer.forecast import Eta
from producer.status import Counts, JobStatusView, Throughput, Usage

# Half past nine, two hours east of Greenwich.
NOW = datetime(2026, 11, 28, 9, 30, tzinfo=timezone(timedelta(hours=2)))
AT_0312 = int(datetime(2026, 11, 28, 1, 12, tzinfo=UTC).timestamp())


def job(status: str, **more: Any) -> JobStatusView:
    made = JobStatusView(
        id="job_1", object="job", name=None, status=status, model="lead-3", model_revision=None,
        engine=None, dtype=None, fallback=None, source={}, parameters=None, prompt=None, labels={},
        priority=0, window=None, deadline=None, max_error_rate=None,
    webhook=None, dry_run=False,
        counts=Counts(5000, 1234, 0, 3766, 0), usage=Usage(0, 0), throughput=None, batching=None,
        eta_seconds=None, forecast=None, created_at=0, started_at=0, finished_at=AT_0312,
        error=None, note=None, report=None,
    )  # fmt: skip
    return replace(made, **more)


@pytest.mark.parametrize(
    ("status", "more", "said"),
    [
        (
            "completed",
            {
                "counts": Counts(203989, 203577, 412, 0, 0),
                "throughput": Throughput(1840 / 60, 9999.0),
            },
            "Done 03:12, 203,577 summaries, 412 failed, 1,840 a minute",
        ),
        ("completed", {"counts": Counts(1, 1, 0, 0, 0)}, "Done 03:12, 1 summary"),
        (
            "completed",
            {"counts": Counts(1, 1, 0, 0, 0), "throughput": Throughput(0.001, 1.0)},
            "Done 03:12, 1 summary, 3.6 an hour",
        ),
        ("completed", {"dry_run": True}, "Dry run done 03:12"),
        ("in_progress", {}, "1,234 of 5,000 done"),
        (
            "in_progress",
            {"eta_seconds": Eta(640, 840)},
            "1,234 of 5,000 done, ready in 10 to 14 minutes",
        ),
        (
            "in_progress",
            {"eta_seconds": Eta(20, 150)},
            "1,234 of 5,000 done, ready in less than 3 minutes",
        ),
        (
            "in_progress",
            {"eta_seconds": Eta(120, 120)},
            "1,234 of 5,000 done, ready in 2 minutes",
        ),
        (
            "in_progress",
            {"eta_seconds": Eta(20, 40)},
            "1,234 of 5,000 done, ready in 20 to 40 seconds",
        ),
        (
            "in_progress",
            {"eta_seconds": Eta(3600, 7200)},
            "1,234 of 5,000 done, ready between 10:30 and 11:30",
        ),
        (
            "in_progress",
            {"eta_seconds": Eta(3600, 16 * 3600)},
            "1,234 of 5,000 done, ready between 10:30 and 29 Nov, 01:30",
        ),
        (
            "in_progress",
            {"counts": Counts(10, 4, 2, 4, 0), "window": "22:00-06:00"},
            "6 of 10 done, 2 failed, runs 22:00-06:00",
        ),
        ("validating", {}, "The model and the documents are being looked at"),
        (
            "validating",
            {"note": {"message": "the hub does not answer"}},
            "Waiting: the hub does not answer",
        ),
        ("paused", {}, "Paused, 1,234 of 5,000 done"),
        ("finalizing", {}, "1,234 of 5,000 done, about to end"),
        ("cancelling", {}, "Being cancelled, 1,234 of 5,000 done"),
        ("cancelled", {"counts": Counts(None, 0, 0, None, 0)}, "Cancelled 03:12, not begun"),
        ("failed", {"error": {"message": "no such model"}}, "Failed 03:12: no such model"),
        ("failed", {}, "Failed 03:12"),
        ("expired", {}, "Out of time 03:12, 1,234 of 5,000 done"),
    ],
)
def test_a_job_in_a_line(status: str, more: dict[str, Any], said: str) -> None:
    assert verdict.line(job(status, **more), NOW) == said


@pytest.mark.parametrize("status", list(JobStatus))
def test_each_status_has_a_line_and_a_chip(status: JobStatus) -> None:
    assert verdict.line(job(status), NOW)
    assert verdict.chip(job(status))[0]


@pytest.mark.parametrize(
    ("days", "said"), [(0, "09:30"), (1, "27 Nov, 09:30"), (400, "24 Oct 2025, 09:30")]
)
def test_the_day_is_said_where_it_is_another(days: int, said: str) -> None:
    then = (NOW - timedelta(days=days)).timestamp()
    assert verdict.day_and_time(then, NOW) == said

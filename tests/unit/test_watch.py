"""The speed that is shown, and how numbers and durations are said."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from jobs.job import Batching
from jobs.states import JobStatus
from jobs.store.jobs import JobRecord
from producer import status
from producer.cli import output
from producer.cli.watch import Speed, describe


def record(**known: Any) -> JobRecord:
    """A job in progress: 1 of 8 documents in 3 hours."""
    fields: dict[str, Any] = dict.fromkeys(JobRecord.__dataclass_fields__)
    fields |= {"id": "job_a", "status": JobStatus.IN_PROGRESS, "model": "lead-1", "source": {}}
    fields |= {"requested": {}, "labels": {}, "priority": 0, "created_at": datetime.now(UTC)}
    fields |= {"total": 8, "completed": 1, "failed": 0, "reused": 0, "seconds": 10_800.0}
    fields |= {"input_tokens": 5, "output_tokens": 5, "dry_run": False, "batching": Batching()}
    return JobRecord(**{**fields, **known})


def looks(speed: Speed, *seen: tuple[int, float]) -> list[float | None]:
    return [speed.look(done, at) for done, at in seen]


def test_speed_is_that_of_the_last_stores() -> None:
    speed = Speed()
    begun = looks(speed, (0, 0.0), (64, 20.0), (128, 40.0))
    assert begun == [None, None, None], "what was stored first may have been begun long before"
    assert looks(speed, (192, 60.0)) == [128 / 40]
    assert looks(speed, (192, 300.0)) == [128 / 40], "a long batch is no standstill"
    assert looks(speed, (256, 360.0)) == [64 / 300]


def test_several_workers_that_store_at_once() -> None:
    speed = Speed()
    looks(speed, (0, 0.0), (64, 100.0), (128, 101.0))
    assert looks(speed, (192, 200.0), (256, 201.0)) == [64 / 99, 128 / 100]


def test_what_the_bar_says() -> None:
    job = status.view(record(total=8, completed=4, seconds=10.0), 1)
    assert describe(job, None) == "0.4 documents/s"
    assert describe(job, 2.0) == "2 documents/s"
    over = replace(job, status="completed")
    assert describe(over, 2.0) == "completed, 0.4 documents/s", "at the end there is one number"
    assert output.line(over) == "job_a completed: 4 of 8 documents done, 0.4 documents/s"


def test_a_slow_job_has_a_speed() -> None:
    job = status.view(record(), 1)
    assert job.throughput is not None
    assert job.throughput.documents_per_second == 9.25926e-05
    assert "0.333 documents/h" in output.line(job)


def test_speeds() -> None:
    assert output.speed(12_345.6) == "12,346 documents/s"
    assert output.speed(99.94) == "99.9 documents/s"
    assert output.speed(0.3351) == "0.335 documents/s"
    assert output.speed(0.00412) == "14.8 documents/h"


def test_failed_documents_are_not_done() -> None:
    job = status.view(record(total=7, completed=2, failed=5, seconds=None), 0)
    assert output.line(job) == "job_a in_progress: 2 of 7 documents done, 5 failed"
    job = status.view(record(total=1, completed=1, seconds=None), 0)
    assert output.line(job) == "job_a in_progress: 1 of 1 document done"


def test_durations() -> None:
    said = [output.duration(s) for s in (4.4, 99, 600, 12_000)]
    assert said == ["4 s", "99 s", "10 min", "3 h 20 min"]

"""The tables of states, seen as a whole."""

from jobs import states
from jobs.states import (
    JOB_OVER,
    JOB_RETRIES,
    JOB_VALIDATES_AGAIN,
    SHARD_LEASABLE,
    SHARD_OVER,
    JobStatus,
    JobTransition,
    ShardState,
)

JOB_TRANSITIONS = [each for each in vars(states).values() if isinstance(each, JobTransition)]


def reached(start: JobStatus) -> set[JobStatus]:
    found = {start}
    for _ in JobStatus:
        found |= {t.target for t in JOB_TRANSITIONS if t.sources & found}
    return found


def test_only_a_retry_leaves_the_end() -> None:
    leaving = [each for each in JOB_TRANSITIONS if not JOB_OVER.isdisjoint(each.sources)]
    assert leaving == [JOB_RETRIES, JOB_VALIDATES_AGAIN]


def test_every_state_is_reached_and_every_end_from_everywhere() -> None:
    assert reached(JobStatus.VALIDATING) == set(JobStatus)
    for status in JobStatus:
        assert reached(status) >= JOB_OVER


def test_shards_are_leasable_running_or_over() -> None:
    assert SHARD_LEASABLE | SHARD_OVER | {ShardState.RUNNING} == set(ShardState)

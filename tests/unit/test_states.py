"""The tables of states, seen as a whole."""

from jobs import states
from jobs.states import JOB_OVER, SHARD_LEASABLE, SHARD_OVER, JobStatus, JobTransition, ShardState

JOB_TRANSITIONS = [each for each in vars(states).values() if isinstance(each, JobTransition)]


def test_no_way_out_of_the_end() -> None:
    """Only `retry`, which is not built yet, may leave a state that is over."""
    for transition in JOB_TRANSITIONS:
        assert JOB_OVER.isdisjoint(transition.sources)


def test_every_job_can_come_to_an_end() -> None:
    reached = {JobStatus.VALIDATING}
    for _ in JobStatus:
        reached |= {t.target for t in JOB_TRANSITIONS if t.sources & reached}
    assert {JobStatus.COMPLETED, JobStatus.FAILED} <= reached


def test_shards_are_leasable_running_or_over() -> None:
    assert SHARD_LEASABLE | SHARD_OVER | {ShardState.RUNNING} == set(ShardState)

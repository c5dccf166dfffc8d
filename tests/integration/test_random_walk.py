"""A random walk of verbs, workers and clocks over jobs in a real database.

Whatever is asked in whatever order, a job goes only ways that `jobs.states` declares, its
counts are those of its rows, and only documents that still wait are suspected of anything.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from jobs import states
from jobs.database import Database, Transaction
from jobs.documents import Columns
from jobs.job import ModelKey, Row, Shard
from jobs.parameters import Effective
from jobs.states import JOB_OVER, JobStatus, JobTransition
from jobs.store import (
    control,
    deaths,
    endings,
    jobs,
    leasing,
    queueing,
    summaries,
    validations,
)
from producer.submit import Request, from_python, submit_documents
from tests import leases

KEY = ModelKey("lead-1", "1", "lead", None)
CODES = ("generation_failed", "worker_died")

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class Walk(RuleBasedStateMachine):
    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.jobs: dict[str, JobStatus] = {}
        self.leases: list[Shard] = []

    @contextmanager
    def step(self, *allowed: tuple[JobStatus, JobStatus]) -> Iterator[Transaction]:
        """A transaction in which jobs go only the `allowed` ways."""
        with self.database.transaction() as tx:
            yield tx
            for job_id, before in self.jobs.items():
                now = jobs.get(tx, job_id).status
                assert now == before or (before, now) in allowed, (before, now)
                self.jobs[job_id] = now

    @rule(
        documents=st.integers(1, 5),
        shard_size=st.integers(1, 3),
        rate=st.sampled_from([None, 0.0, 0.5]),
        late=st.booleans(),
    )
    def submit(self, documents: int, shard_size: int, rate: float | None, late: bool) -> None:
        request = Request(
            model=KEY.model,
            shard_size=shard_size,
            max_error_rate=rate,
            deadline=LONG_AGO if late else None,
        )
        given = from_python(["A text."] * documents, Columns())
        accepted = submit_documents(self.database, request, given)
        self.jobs[accepted.job_id] = JobStatus.VALIDATING

    @rule(refused=st.booleans())
    def validate(self, refused: bool) -> None:
        for job_id in self.jobs:
            allowed = way(states.JOB_IS_REFUSED if refused else states.JOB_STARTS)
            with self.step(*allowed) as tx:
                lease = validations.lease(tx, job_id, "validator", 60)
                if lease is None:
                    continue
                if refused:
                    assert validations.refuse(tx, lease, "model_unknown", "no such model")
                else:
                    assert validations.start(tx, lease, KEY, Effective())

    @rule(worker=st.sampled_from(["a", "b"]), seconds=st.sampled_from([-1.0, 60.0]))
    def lease(self, worker: str, seconds: float) -> None:
        with self.step() as tx:
            lease = leases.lease_next(tx, KEY, worker, seconds)
        if lease is not None:
            self.leases.append(lease)

    @rule(
        which=st.integers(0, 3),
        share=st.floats(0, 1),
        code=st.sampled_from([None, None, *CODES]),
    )
    def store(self, which: int, share: float, code: str | None) -> None:
        """Some or all of a shard, by a worker that may have lost its lease; what is left of it
        is in hand next."""
        if not self.leases:
            return
        shard = self.leases[which % len(self.leases)]
        stop = shard.start + round(share * (shard.stop - shard.start))
        rows = [_row(index, code) for index in range(shard.start, stop)]
        done = stop == shard.stop
        with self.step() as tx:
            over = summaries.done(tx, shard.job_id, stop, shard.stop)
            in_hand = [index for index in range(stop, shard.stop) if index not in over]
            stored = leases.stored(tx, shard, rows, done=done)
            if stored and not done and not leases.announced(tx, shard, in_hand):
                leasing.hand_back(tx, [shard])

    @rule(code=st.sampled_from([None, *CODES]), most=st.integers(1, 6))
    def work(self, code: str | None, most: int) -> None:
        """A worker that does its job: whole shards, the second document of each failing."""
        for _ in range(most):
            with self.step() as tx:
                shard = leases.lease_next(tx, KEY, "c", 60)
                if shard is None:
                    return
                indexes = range(shard.start, shard.stop)
                rows = [_row(index, code if index % 2 else None) for index in indexes]
                assert leases.stored(tx, shard, rows, done=True)

    @rule(size=st.integers(0, 3))
    def die(self, size: int) -> None:
        """The same worker dies with some documents in hand; its next child takes over."""
        with self.step() as tx:
            shard = leases.lease_next(tx, KEY, "c", 60)
            if shard is None:
                return
            over = summaries.done(tx, shard.job_id, shard.start, shard.stop)
            left = [index for index in range(shard.start, shard.stop) if index not in over]
            assert leases.announced(tx, shard, left[:size])

    @rule(which=st.integers(0, 3))
    def hand_back(self, which: int) -> None:
        if self.leases:
            with self.step() as tx:
                leasing.hand_back(tx, [self.leases[which % len(self.leases)]])

    @rule()
    def dispatch(self) -> None:
        ends = (states.JOB_COMPLETES, states.JOB_FAILS, states.JOB_EXPIRES)
        closing = [
            (source, each.target) for source in states.JOB_FINALIZES.sources for each in ends
        ]
        with self.step(*closing, *way(states.JOB_IS_CANCELLED)) as tx:
            deaths.return_expired(tx, 60)
            endings.end_late(tx)
            endings.end_failing(tx)
            queueing.cancel_unstarted_of_ending(tx)
            endings.close_finished(tx)
            queueing.queue_due(tx, 4, 0)

    @rule()
    def pause(self) -> None:
        with self.step(*way(states.JOB_PAUSES)) as tx:
            for job_id in self.jobs:
                control.pause(tx, job_id)

    @rule()
    def resume(self) -> None:
        with self.step(*way(states.JOB_RESUMES), *way(states.JOB_RETRIES)) as tx:
            for job_id in self.jobs:
                control.resume(tx, job_id)

    @rule(which=st.integers(0, 3))
    def cancel(self, which: int) -> None:
        if not self.jobs:
            return
        at_once = [(source, JobStatus.CANCELLED) for source in states.JOB_CANCELS.sources]
        with self.step(*way(states.JOB_CANCELS), *at_once) as tx:
            control.cancel(tx, list(self.jobs)[which % len(self.jobs)])

    @rule(code=st.sampled_from([None, *CODES]))
    def retry(self, code: str | None) -> None:
        again = [*way(states.JOB_RETRIES), *way(states.JOB_VALIDATES_AGAIN)]
        for job_id in self.jobs:
            with self.step(*again) as tx:
                retried = control.retry(tx, job_id, code)
                job = jobs.get(tx, job_id)
                if retried is not None and code is None and job.status not in JOB_OVER:
                    left = (job.total or 0) - job.completed - job.failed
                    assert retried.failed + retried.unfinished == left

    @invariant()
    def counts_are_those_of_the_rows(self) -> None:
        with self.database.transaction() as tx:
            for job_id in self.jobs:
                job = jobs.get(tx, job_id)
                completed, failed, unfinished, cancelled = tx.exec_driver_sql(
                    COUNTS, {"job": job_id}
                ).one()
                assert (job.completed, job.failed) == (completed, failed), job.status
                if job.status in JOB_OVER:
                    assert not unfinished
                if job.status == JobStatus.COMPLETED:
                    assert not cancelled
                    assert completed + failed == job.total

    @invariant()
    def suspects_wait(self) -> None:
        with self.database.transaction() as tx:
            assert tx.exec_driver_sql(CLEARED).all() == []


CLEARED = """
SELECT shards.id, suspect FROM shards, jsonb_object_keys(suspects) AS suspect
WHERE suspect::bigint NOT BETWEEN start AND stop - 1 OR suspect::bigint IN
      (SELECT "index" FROM summaries WHERE summaries.job_id = shards.job_id)
"""

COUNTS = """
SELECT (SELECT count(*) FROM summaries WHERE job_id = %(job)s AND error_code IS NULL),
       (SELECT count(*) FROM summaries WHERE job_id = %(job)s AND error_code IS NOT NULL),
       (SELECT count(*) FROM shards WHERE job_id = %(job)s AND state NOT IN ('done', 'cancelled')),
       (SELECT count(*) FROM shards WHERE job_id = %(job)s AND state = 'cancelled')
"""


def way(transition: JobTransition) -> list[tuple[JobStatus, JobStatus]]:
    return [(source, transition.target) for source in transition.sources]


def _row(index: int, code: str | None) -> Row:
    summary = None if code else "A summary."
    return Row(index, None, summary, 5, 2, False, None, code, code and "why", None)


@pytest.mark.timeout(300)
def test_a_random_walk(database: Database) -> None:
    bound = type("BoundWalk", (Walk,), {"database": database})
    run_state_machine_as_test(
        bound,
        settings=hypothesis.settings(max_examples=25, stateful_step_count=30),
    )

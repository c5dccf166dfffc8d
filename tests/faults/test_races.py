"""Users, workers and dispatchers that race for the same jobs, as threads on a real database."""

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import sleep

import pytest

from jobs import states
from jobs.errors import NotAllowed
from jobs.states import JOB_OVER, JobStatus, JobTransition, ShardTransition
from producer.client import Client
from producer.job import Job, NobodyWorks
from tests.faults import audit
from tests.faults.engine import Breakage, Orders
from tests.faults.ground import Ground
from tests.faults.ledger import Entry
from tests.faults.racing import Threads
from tests.mill import eventually

USERS = 12
VERBS = ("cancel", "pause", "resume", "retry", "resubmit", "look")
HASTY = {"dispatch_interval": 0.1, "resend_after": 0.5, "slice": 0.05, "poll": 0.02}


@dataclass(frozen=True)
class Round:
    """A job, and what two users ask of it while it is worked on."""

    number: int
    entries: Sequence[Entry]
    shard_size: int
    asked: tuple[Sequence[tuple[str, float]], Sequence[tuple[str, float]]]
    """Verbs of each user, and the seconds before each."""


@pytest.mark.short
def test_a_few_rounds(ground: Ground, tmp_path: Path) -> None:
    """Cancel, retry, pause, resume and resubmit racing with workers: 60 rounds."""
    _race(ground, tmp_path, 60)


@pytest.mark.timeout(900)
def test_a_thousand_rounds(ground: Ground, tmp_path: Path) -> None:
    """Cancel, retry, pause, resume and resubmit racing with workers: 1000 rounds."""
    _race(ground, tmp_path, 1000)


def _race(ground: Ground, folder: Path, rounds: int) -> None:
    settings = ground.mill.settings
    hasty = settings.model_copy(update={"timings": settings.timings.model_copy(update=HASTY)})
    orders = Orders(diary=folder / "diary.jsonl", batch=2, seconds=0.001)
    planned = [_plan(ground, number) for number in range(rounds)]
    with warnings.catch_warnings(), Threads(hasty, orders, folder) as threads:
        warnings.simplefilter("error", NobodyWorks)
        for name in ("a", "b"):
            threads.dispatcher()
            threads.worker(name)
        with ThreadPoolExecutor(USERS) as users, threads.client() as client:
            list(users.map(lambda each: _play(ground, client, each), planned))
    assert threads.troubles == []
    # A tenth of the documents is what is seen: of whom a user stopped in mid-batch.
    ground.settle(waste=ground.ledger.documents // 3)
    with ground.sql() as connection:
        assert set(audit.moves(connection, "job")) <= _declared(JobTransition)
        assert set(audit.moves(connection, "shard")) <= _declared(ShardTransition)
    assert (
        ground.look("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        == 0
    )


def _plan(ground: Ground, number: int) -> Round:
    dice = ground.dice
    count = dice.randint(1, 6)
    bad: dict[int, Breakage] = {place: "refuse" for place in range(count) if dice.random() < 0.15}
    asked = [
        [(dice.choice(VERBS), dice.random() * 0.06) for _ in range(dice.randint(0, 3))]
        for _ in range(2)
    ]
    entries = ground.ledger.write(count, bad)
    return Round(number, entries, dice.randint(1, 3), (asked[0], asked[1]))


def _play(ground: Ground, client: Client, each: Round) -> None:
    job = _submit(client, each)
    assert job.new
    ground.ledger.submitted(job.id, list(each.entries))
    with ThreadPoolExecutor(2) as pair:
        list(pair.map(lambda asked: _ask(ground, client, job, each, asked), each.asked))
    try:
        eventually(lambda: _brought_to_its_end(ground, job), f"round {each.number} ends")
    except AssertionError as error:
        error.add_note(_as_it_stands(ground, job.id))
        raise


def _submit(client: Client, each: Round) -> Job:
    texts = [entry.text for entry in each.entries]
    key = f"round {each.number}"
    return client.submit(texts, model="lead-1", shard_size=each.shard_size, idempotency_key=key)


def _ask(
    ground: Ground, client: Client, job: Job, each: Round, asked: Sequence[tuple[str, float]]
) -> None:
    for verb, seconds in asked:
        sleep(seconds)
        if verb == "look":
            assert job.status().counts.total == len(each.entries)
        elif verb == "resubmit":
            again = _submit(client, each)
            assert (again.id, again.new) == (job.id, False)
        elif verb == "retry":
            with suppress(NotAllowed):
                _retry(ground, job)
        else:
            with suppress(NotAllowed):
                getattr(job, verb)()


def _retry(ground: Ground, job: Job) -> bool:
    """Whether it was taken up again."""
    retried = job.retry()
    if retried.failed or retried.unfinished:
        ground.ledger.reopened(job.id)
        return True
    return False


def _brought_to_its_end(ground: Ground, job: Job) -> bool:
    """Whether every document is over; a job that a user has stopped is helped on."""
    status = job.status()
    if status.status == JobStatus.PAUSED:
        with suppress(NotAllowed):
            job.resume()
    elif status.status == JobStatus.CANCELLED and not _retry(ground, job):
        ground.ledger.cancelled(job.id)
        return True
    return status.status in JOB_OVER - {JobStatus.CANCELLED}


def _as_it_stands(ground: Ground, job_id: str) -> str:
    queries = [
        "SELECT row_to_json(jobs)::text FROM jobs WHERE id = %s",
        "SELECT json_agg(shards)::text FROM shards WHERE job_id = %s",
        "SELECT json_agg(audit_moves ORDER BY at)::text FROM audit_moves WHERE id = %s "
        "OR (what = 'shard' AND id IN (SELECT id::text FROM shards WHERE job_id = %s))",
    ]
    with ground.sql() as connection:
        found = [connection.execute(q, [job_id] * q.count("%s")).fetchone() for q in queries]
    return "\n".join(str(each) for each in found)


def _declared(kind: type[JobTransition] | type[ShardTransition]) -> set[tuple[str, str]]:
    known = [each for each in vars(states).values() if isinstance(each, kind)]
    return {(str(source), str(each.target)) for each in known for source in each.sources}

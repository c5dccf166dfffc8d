"""The ceiling of everything but the model: `lead-3` over a million documents.

    python -m benchmarks.mill [--documents N] [--workers 1 2] [--every SECONDS]

For each number of workers it starts a mill of its own, submits the documents from a
generator, and follows the job to its end: documents a second and worker, and the memory
of every process over time. Needs Linux.
"""

import argparse
import json
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from time import monotonic, sleep

from sqlalchemy import text

from benchmarks.own_mill import OwnMill, own_mill
from producer.client import Job

_WORDS = [
    "".join(random.Random(number).choices("abcdefghilmnoprstu", k=3 + number % 7))
    for number in range(2000)
]


@dataclass
class Sample:
    """One look at the mill, `seconds` after the job started."""

    seconds: float
    documents: int
    memory: dict[str, float]
    """MiB by process."""


@dataclass
class Run:
    workers: int
    documents: int
    submit_seconds: float
    seconds: float = 0.0
    """From the first document to the last, the workers' start left out."""
    database_mib: float = 0.0
    samples: list[Sample] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Documents a second and worker."""
        return self.documents / self.seconds / self.workers


def texts(count: int, seed: int = 0) -> Iterator[str]:
    """Documents of six sentences, about 60 words, none like another."""
    chance = random.Random(seed)
    for number in range(count):
        words = chance.choices(_WORDS, k=60)
        sentences = [" ".join(words[at : at + 10]) for at in range(0, 60, 10)]
        yield f"Document {number}. " + ". ".join(sentences) + "."


def run(documents: int, workers: int, every: float) -> Run:
    with own_mill() as mill:
        began = monotonic()
        job = mill.client.submit(texts(documents), model="lead-3")
        done = Run(workers, documents, monotonic() - began)
        mill.dispatcher()
        for number in range(1, workers + 1):
            mill.worker(number)
        _follow(mill, job, every, done)
        with mill.client.database.transaction() as tx:
            size = text("SELECT pg_database_size(current_database())")
            done.database_mib = tx.execute(size).scalar_one() / 2**20
    return done


def _follow(mill: OwnMill, job: Job, every: float, done: Run) -> None:
    began = monotonic()
    looked = 0.0
    while True:
        status = job.status()
        now = monotonic()
        count = status.counts.completed
        if status.over or now - looked >= every:
            looked = now
            done.samples.append(Sample(now - began, count, mill.memory()))
        if status.over:
            break
        sleep(0.25)
    assert status.status == "completed", status
    started = status.started_at
    assert started
    with mill.client.database.transaction() as tx:
        query = text("SELECT extract(epoch FROM max(finished_at) - min(started_at)) FROM shards")
        done.seconds = float(tx.execute(query).scalar_one())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two looks")
    given = parser.parse_args()
    for workers in given.workers:
        done = run(given.documents, workers, given.every)
        print(json.dumps({**asdict(done), "rate": done.rate}), flush=True)


if __name__ == "__main__":
    main()

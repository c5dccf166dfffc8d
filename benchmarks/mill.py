"""The ceiling of everything but the model: `lead-3` over a million documents.

    python -m benchmarks mill [--documents N] [--workers 1 2] [--every SECONDS] [--quick]

For each number of workers it starts a mill of its own, submits the documents from a
generator, and follows the job to its end: documents a second and worker, and the memory
of every process over time. Needs Linux.
"""

import argparse
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from statistics import mean
from time import monotonic, sleep

from sqlalchemy import text

from benchmarks.own_mill import OwnMill, own_mill
from benchmarks.report import Cell, Report
from producer.job import Job

_QUICK = 50_000
_SHOWN = 6
"""Looks at the memory in the printed table; the JSON has all."""

_CHANCE = random.Random(0)
_WORDS = ["".join(_CHANCE.choices("abcdefghilmnoprstu", k=3 + n % 7)) for n in range(2000)]


@dataclass(frozen=True)
class Look:
    """The mill, `seconds` after its workers were ready."""

    seconds: float
    documents: int
    memory: dict[str, float]
    """MiB by process."""


@dataclass
class Run:
    workers: int
    documents: int
    submitting: float
    """Seconds."""
    working: float = 0.0
    """Seconds from the first lease to the end of the last shard: workers start before it."""
    database: float = 0.0
    """MiB, indexes among them."""
    looks: list[Look] = field(default_factory=list)
    processor: dict[str, float] = field(default_factory=dict)
    """Seconds by process, the workers' start among them."""

    @property
    def rate(self) -> float:
        """Documents a second and worker."""
        return self.documents / self.working / self.workers


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks mill", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two looks")
    parser.add_argument("--quick", action="store_true", help=f"{_QUICK:,} documents")
    given = parser.parse_args(arguments)
    documents = min(given.documents, _QUICK) if given.quick else given.documents
    report = Report("mill", "The ceiling of everything but the model", arguments)
    runs = [run(documents, workers, given.every) for workers in given.workers]
    report.table(
        f"lead-3 over {documents:,} documents of about 60 words",
        ["workers", "documents/s", "documents/s a worker", "submitted/s", "database MiB"],
        [_line(each) for each in runs],
    )
    names = list(runs[-1].processor)
    report.table(
        "Processor, milliseconds for 1,000 documents",
        ["workers", *names],
        [[each.workers, *(_cost(each, name) for name in names)] for each in runs],
    )
    for each in runs:
        _show_memory(report, each)
    report.data("runs", [asdict(each) for each in runs])
    report.write()


def _line(run: Run) -> list[Cell]:
    submitted = run.documents / run.submitting
    return [run.workers, run.workers * run.rate, run.rate, submitted, run.database]


def _cost(run: Run, name: str) -> float | None:
    return 1e6 * run.processor[name] / run.documents if name in run.processor else None


def run(documents: int, workers: int, every: float) -> Run:
    with own_mill() as mill:
        began = monotonic()
        job = mill.client.submit(texts(documents), model="lead-3")
        done = Run(workers, documents, monotonic() - began)
        mill.dispatcher()
        for number in range(1, workers + 1):
            mill.worker(number)
        before = mill.processor_seconds()
        done.looks = _follow(mill, job, every)
        after = mill.processor_seconds()
        done.processor = {name: after[name] - before.get(name, 0) for name in after}
        with mill.client.database.transaction() as tx:
            done.working = float(tx.execute(_WORKING).scalar_one())
            done.database = float(tx.execute(_SIZE).scalar_one())
    return done


_WORKING = text("SELECT extract(epoch FROM max(finished_at) - min(started_at)) FROM shards")
_SIZE = text("SELECT pg_database_size(current_database()) / 1048576.0")


def texts(count: int) -> Iterator[str]:
    """Documents of six sentences, none like another."""
    chance = random.Random(1)
    for number in range(count):
        words = chance.choices(_WORDS, k=60)
        sentences = [" ".join(words[at : at + 10]) for at in range(0, 60, 10)]
        yield f"Document {number}. {'. '.join(sentences)}."


def _follow(mill: OwnMill, job: Job, every: float) -> list[Look]:
    began = monotonic()
    looks: list[Look] = []
    while True:
        status = job.status()
        seconds = monotonic() - began
        if status.over or seconds >= every * len(looks):
            looks.append(Look(seconds, status.counts.completed, mill.memory()))
        if status.over:
            break
        sleep(0.5)
    if status.status != "completed":
        raise SystemExit(f"the job is {status.status}: {status.error}")
    return looks


def _show_memory(report: Report, done: Run) -> None:
    """A few looks, evenly spread, and how much each process has grown since the second one."""
    warm = [look for look in done.looks if look.documents][1:-1] or done.looks[-1:]
    step = max(1, (len(warm) - 1) // (_SHOWN - 1))
    shown = warm[::step]
    names = list(warm[-1].memory)
    plural = "worker" if done.workers == 1 else "workers"
    report.table(
        f"Memory with {done.workers} {plural}, MiB (PSS)",
        ["after s", "documents", *names],
        [[look.seconds, look.documents, *map(look.memory.get, names)] for look in shown],
    )
    grown = {name: _growth([look.memory.get(name, 0) for look in warm]) for name in names}
    listed = ", ".join(f"{name} {mib:+.1f}" for name, mib in grown.items())
    report.note(f"From the first third of these looks to the last, in MiB on average: {listed}.")


def _growth(sizes: Sequence[float]) -> float:
    third = max(1, len(sizes) // 3)
    return mean(sizes[-third:]) - mean(sizes[:third])


if __name__ == "__main__":
    main(sys.argv[1:])

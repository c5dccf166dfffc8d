"""What a job costs beside the model: from submit to the last row, against the bare engine.

    python -m benchmarks jobs [--documents N] [--textbook N] [--rounds N] [--quick]
    python -m benchmarks jobs --model FOLDER --file FILE.jsonl

By turns, on the same documents and with the same number of threads: `job`, from the call
of submit to the last row that can be seen in SQL, on a worker that has the model loaded;
`bare`, the worker's own engine with the job's settings and batches in this process, that
is `generate` alone; `textbook`, the library's `generate` over the documents as they come, eight
at a time in float32, on fewer of them because it takes so long.
"""

import argparse
import json
import math
import random
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import Any

import torch
from sqlalchemy import text

from benchmarks.engines import cases as engines
from benchmarks.engines import shapes
from benchmarks.engines.contest import Contestant, Measured, Team
from benchmarks.own_mill import OwnMill, own_mill
from benchmarks.report import Cell, Report
from jobs.job import SHARD_SIZE, ModelKey
from jobs.parameters import Effective
from jobs.store import jobs
from producer.job import Job, NobodyWorks
from producer.status import BatchingView
from worker import batching, budget, model_files, models
from worker.budget import Budgets
from worker.engines import Engine

_SHAPE = "bart-62m"
_MEAN, _SIGMA, _SHORTEST, _LONGEST = 350, 0.6, 20, 1000
"""Tokens of a document: log-normal, within these bounds."""
_FIXED = {
    "num_beams": 4,
    "max_new_tokens": 48,
    "generate": {"min_new_tokens": 48, "early_stopping": True},
}


@dataclass
class Rounds:
    """Documents a second of each side, round by round."""

    rates: dict[str, list[float]] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)
    """Seconds from submit to the first lease of a shard."""
    last: BatchingView | None = None
    """What `status` says of the last job's batches."""

    def ratio(self, one: str, other: str) -> list[float]:
        return [a / b for a, b in zip(self.rates[one], self.rates[other], strict=True)]


@dataclass(frozen=True)
class Case:
    """`asked` are options of `Client.submit`."""

    model: str
    texts: list[str]
    asked: dict[str, Any]


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks jobs", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--documents", type=int, default=256)
    parser.add_argument("--textbook", type=int, default=32, help="documents of the textbook loop")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", help="a folder; without it random weights, as BART of 62M")
    parser.add_argument("--file", type=Path, help="JSONL with a column text; goes with --model")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--quick", action="store_true", help="24 documents, one round")
    given = parser.parse_args(arguments)
    if given.quick:
        given.documents, given.textbook, given.rounds = 24, 8, 1
    report = Report("jobs", "A job, the bare engine and the textbook loop", arguments)
    model_files.quiet()
    with TemporaryDirectory() as folder:
        made = _from_file(given) if given.file else _random(Path(folder), given.documents)
        made.asked.update(engine=given.engine, dtype=given.dtype)
        rounds = compare(made, given.rounds, given.textbook, report)
    _show(report, made, rounds)
    report.write()


def compare(case: Case, rounds: int, textbook: int, report: Report) -> Rounds:
    done = Rounds()
    with own_mill() as mill:
        mill.dispatcher()
        mill.worker()
        # So that the worker has the model loaded, and we its settings.
        first = _submit(mill, case, case.texts[:2])
        _wait(mill, first)
        status = first.status()
        report.note(f"Engine {status.engine}, {status.dtype}, {torch.get_num_threads()} threads.")
        bare = _bare(mill, first, case)
        few = bare.encoded(case.texts[:: max(1, len(case.texts) // textbook)][:textbook])
        with _textbook(case.model, few, bare.effective, mill.settings.home) as loop:
            sides: dict[str, tuple[int, Callable[[], object]]] = {
                "job": (len(case.texts), lambda: _do_job(mill, case, done)),
                "bare": (len(case.texts), bare),
                "textbook": (len(few), loop),
            }
            for number in range(rounds):
                for side in sides if number % 2 == 0 else reversed(sides):
                    count, act = sides[side]
                    began = perf_counter()
                    act()
                    rate = count / (perf_counter() - began)
                    done.rates.setdefault(side, []).append(rate)
    return done


def _do_job(mill: OwnMill, case: Case, done: Rounds) -> None:
    with mill.client.database.transaction() as tx:
        began = tx.execute(text("SELECT clock_timestamp()")).scalar_one()
    job = _submit(mill, case, case.texts)
    _wait(mill, job)
    with mill.client.database.transaction() as tx:
        first = tx.execute(_FIRST_LEASE, {"job": job.id}).scalar_one()
    done.waits.append(float((first - began).total_seconds()))
    done.last = job.status().batching


_FIRST_LEASE = text("SELECT min(started_at) FROM shards WHERE job_id = :job")
_STANDS = text(
    "SELECT bool_and(state = 'done'), (SELECT error FROM jobs WHERE id = :job)"
    " FROM shards WHERE job_id = :job"
)


def _submit(mill: OwnMill, case: Case, texts: Sequence[str]) -> Job:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NobodyWorks)
        return mill.client.submit(texts, model=case.model, **case.asked)


def _wait(mill: OwnMill, job: Job) -> None:
    """Until its last row is there; that the job is closed takes up to a second more."""
    done = False
    while not done:
        sleep(0.1)
        with mill.client.database.transaction() as tx:
            done, error = tx.execute(_STANDS, {"job": job.id}).one()
        if error:
            raise SystemExit(f"the job failed: {error}")


class _Bare:
    """The engine with a job's settings, and its batches, encoded."""

    def __init__(self, engine: Engine, effective: Effective, texts: Sequence[str]) -> None:
        self.effective = effective
        self._engine = engine
        self._batches = [
            batch
            for start in range(0, len(texts), SHARD_SIZE)
            for batch in self._planned(texts[start : start + SHARD_SIZE])
        ]

    def __call__(self) -> None:
        for batch in self._batches:
            seeds = [self.effective.seed_of(place) for place in range(len(batch))]
            self._engine.generate(batch, self.effective, seeds)

    def encoded(self, texts: Sequence[str]) -> list[list[int]]:
        return [each.ids for each in self._engine.encode(texts, self.effective)]

    def _planned(self, texts: Sequence[str]) -> list[list[list[int]]]:
        engine = self._engine
        ids = self.encoded(texts)
        rows = max(1, engine.max_num_seqs // engine.seqs_per_document(self.effective))
        plan = batching.plan([len(each) for each in ids], engine.max_num_batched_tokens, rows)
        return [[ids[position] for position in batch] for batch in plan]


def _bare(mill: OwnMill, job: Job, case: Case) -> _Bare:
    with mill.client.database.transaction() as tx:
        record = jobs.get(tx, job.id)
    resolved = models.resolve(case.model, mill.settings.home)
    assert record.engine
    assert record.parameters
    engine = models.load(resolved, record.engine, record.dtype, "cpu")
    # The worker's own, measured when it loaded the model for the first job.
    key = ModelKey(record.model, resolved.revision, record.engine, record.dtype)
    Budgets(mill.settings.home / "budgets", "cpu").settle(key, engine, budget.measure)
    return _Bare(engine, Effective(**record.parameters), case.texts)


@contextmanager
def _textbook(
    folder: str, ids: Sequence[list[int]], effective: Effective, home: Path
) -> Iterator[Callable[[], object]]:
    """In a process of its own: ours keeps the memory that it frees, which makes the loop twice as
    fast as users see it."""
    case = engines.Case("textbook", folder, list(ids), effective.generation)
    contestant = Contestant("textbook", "float32", 1, torch.get_num_threads())
    with TemporaryDirectory() as made:
        file = Path(made) / "documents.json"
        file.write_text(json.dumps(case.documents))
        team = Team(contestant, case, home, file)
        try:
            team.open()
            yield lambda: team.run(Measured(contestant, ""))
        finally:
            team.end()


def _random(folder: Path, count: int) -> Case:
    """The words of the shape's tokenizer are "w17" for token 17."""
    shape = shapes.SHAPES[_SHAPE]
    chance = random.Random(3)
    mu = math.log(_MEAN) - _SIGMA**2 / 2
    lengths = [round(chance.lognormvariate(mu, _SIGMA)) for _ in range(count)]
    texts = [
        " ".join(f"w{chance.randrange(len(shape.marks), 30000)}" for _ in range(length))
        for length in (min(max(each, _SHORTEST), _LONGEST) for each in lengths)
    ]
    return Case(str(shapes.folder_of(shape, 1.0, folder)), texts, dict(_FIXED))


def _from_file(given: argparse.Namespace) -> Case:
    lines = given.file.read_text().splitlines()[: given.documents]
    return Case(str(Path(given.model).resolve()), [json.loads(line)["text"] for line in lines], {})


def _show(report: Report, case: Case, rounds: Rounds) -> None:
    rows: list[list[Cell]] = [
        [side, median(each), min(each), max(each)] for side, each in rounds.rates.items()
    ]
    report.table(
        f"{len(case.texts)} documents, documents a second",
        ["side", "median", "least", "most"],
        rows,
    )
    ratios = {"job / bare": ("job", "bare"), "job / textbook": ("job", "textbook")}
    found = {name: rounds.ratio(*pair) for name, pair in ratios.items()}
    report.table(
        "Ratios within a round",
        ["ratio", "median", "least", "most"],
        [[name, median(each), min(each), max(each)] for name, each in found.items()],
    )
    least = f"{median(rounds.waits):.1f}"
    report.note(f"Of a job {least} s lie before its first shard is leased.")
    if kept := rounds.last:
        whole = kept.waiting_seconds + kept.generating_seconds
        report.note(
            f"Status says of the last: batches {kept.batch_fill:.0%} full, "
            f"{kept.padding_share or 0:.1%} padding; of {whole:.1f} s the model waited "
            f"{kept.waiting_seconds / whole:.1%}."
        )
    report.data("rates", rounds.rates)
    report.data("seconds to the first lease", rounds.waits)


if __name__ == "__main__":
    main(sys.argv[1:])

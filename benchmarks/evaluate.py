"""How long it takes to evaluate a large job, and what memory; beside rouge-score on the same texts.

    python -m benchmarks evaluate [--rows N] [--sample N] [--turns N] [--folder F] [--quick]

Makes documents of 200 to 300 words, each with a reference and a summary of 25, of words that are
as frequent as those of a language and have endings to be stemmed. They become a job of a mill of
its own that is done, and `gistmill evaluate` is run on it. Then a sample is scored by turns, in
one process: with rouge-score's own scorer and with ours, summary and lead-3 against the reference.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from pathlib import Path
from statistics import median
from time import perf_counter, sleep

from sqlalchemy import text

from benchmarks.own_mill import OwnMill, own_mill
from benchmarks.report import Report
from jobs import settings
from jobs.job import ModelKey, Row
from jobs.parameters import Effective
from jobs.store import summaries, validations
from producer.evaluation.rouge import METRICS, Scorer
from producer.evaluation.sentences import lead, lines
from producer.job import Job

_KEY = ModelKey("lead-1", "1", "lead", None)
_PAGE = 1000
_QUICK = 5000
_WORDS = 40_000
_ENDINGS = ("", "", "", "s", "ed", "ing", "ation", "ly")


@dataclass(frozen=True)
class Made:
    text: str
    reference: str
    summary: str


@dataclass(frozen=True)
class Run:
    """One run of the command: seconds, those of processors, and MiB; its children included."""

    seconds: float
    processor_seconds: float
    memory: float


def documents(count: int) -> Iterator[Made]:
    """The same ones each time."""
    draw = random.Random(0)
    letters = "etaoinshrdlucmfwypvbgk"
    stems = ["".join(draw.choices(letters, k=draw.randint(2, 8))) for _ in range(_WORDS)]
    words = [stem + draw.choice(_ENDINGS) for stem in stems]
    weights = list(accumulate(1 / (rank + 3) for rank in range(_WORDS)))
    for _ in range(count):
        drawn = draw.choices(words, cum_weights=weights, k=draw.randint(200, 300))
        sentences = [" ".join(drawn[at : at + 20]).capitalize() + "." for at in range(0, 200, 20)]
        # Half of each comes from the document.
        reference, summary = (
            [*draw.sample(drawn, 13), *draw.choices(words, cum_weights=weights, k=12)]
            for _ in range(2)
        )
        yield Made(" ".join([*sentences, *drawn[200:]]), " ".join(reference), " ".join(summary))


def fill(mill: OwnMill, folder: Path, count: int) -> Job:
    """A job whose documents lie in a file, with a summary of each."""
    path = folder / "documents.jsonl"
    with path.open("w") as out:
        for made in documents(count):
            out.write(json.dumps({"text": made.text, "reference": made.reference}) + "\n")
    job = mill.client.submit(path, model=_KEY.model)
    database = mill.client.database
    with database.transaction() as tx:
        validation = validations.lease(tx, job.id, "benchmark", 60)
        assert validation
        validations.start(tx, validation, _KEY, Effective())
        tx.execute(text(_DONE), {"job": job.id})
    rows = (_row(index, made) for index, made in enumerate(documents(count)))
    while page := list(islice(rows, _PAGE)):
        with database.transaction() as tx:
            summaries.add(tx, job.id, page)
    return job


_DONE = """
    UPDATE shards SET state = 'done', completed = stop - start, started_at = now(),
                      finished_at = now(), attempt = 1
     WHERE job_id = :job
"""


def _row(index: int, made: Made) -> Row:
    return Row(
        index=index,
        id=None,
        summary=made.summary,
        input_tokens=250,
        output_tokens=25,
        truncated=False,
        finish_reason="stop",
        error_code=None,
        error_message=None,
        reference=made.reference,
    )


def evaluate(mill: OwnMill, job: Job) -> Run:
    began, before = perf_counter(), _processor_seconds()
    command = subprocess.Popen(
        [sys.executable, "-P", "-m", "gistmill", "evaluate", job.id, "--json"],
        stdout=subprocess.DEVNULL,
        env=settings.child_environment(mill.settings, OMP_NUM_THREADS="1"),
        cwd=os.sep,
    )
    memory: dict[str, float] = {}
    while command.poll() is None:
        for pid in [command.pid, *_children(command.pid)]:
            memory[str(pid)] = max(memory.get(str(pid), 0), _resident(pid))
        sleep(0.05)
    assert command.returncode == 0, command.returncode
    taken = _processor_seconds() - before
    return Run(perf_counter() - began, taken, sum(memory.values()))


def _processor_seconds() -> float:
    """Of all children that have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _children(pid: int) -> list[int]:
    try:
        return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    except OSError:  # it has just ended
        return []


def _resident(pid: int) -> float:
    """The largest resident set so far, in MiB."""
    try:
        found = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) / 1024 for line in found if line.startswith("VmHWM:")), 0)


def score(count: int, turns: int) -> tuple[list[float], list[float]]:
    """Documents a second of rouge-score and of ours, by turns; both give the same numbers."""
    from rouge_score.rouge_scorer import RougeScorer

    theirs, ours = RougeScorer(list(METRICS), use_stemmer=True), Scorer()
    sample = [(made.reference, made.summary, lead(made.text)) for made in documents(count)]
    speeds: tuple[list[float], list[float]] = ([], [])
    for _ in range(turns):
        began = perf_counter()
        expected = [
            tuple(theirs.score(lines(known), lines(given))[name].fmeasure for name in METRICS)
            for known, *both in sample
            for given in both
        ]
        speeds[0].append(count / (perf_counter() - began))
        began = perf_counter()
        found = []
        for known, *both in sample:
            read = ours.read(known)
            found += [ours.score(read, ours.read(given)) for given in both]
        speeds[1].append(count / (perf_counter() - began))
        assert found == expected
    return speeds


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks evaluate", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--sample", type=int, default=200, help="documents for rouge-score")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where documents lie meanwhile")
    parser.add_argument("--quick", action="store_true", help=f"{_QUICK:,} rows, one turn")
    given = parser.parse_args(arguments)
    if given.quick:
        given.rows, given.turns = min(given.rows, _QUICK), 1
    report = Report("evaluate", "Evaluating a large job", arguments)
    with own_mill() as mill, tempfile.TemporaryDirectory(dir=given.folder) as folder:
        job = fill(mill, Path(folder), given.rows)
        load = f"{os.getloadavg()[0]:.1f}"
        run = evaluate(mill, job)
    report.table(
        "`gistmill evaluate --json`, documents of 200 to 300 words, summaries of 25",
        ["documents", "seconds", "documents/s", "processor seconds", "MiB", "load before"],
        [
            [
                *(given.rows, run.seconds, given.rows / run.seconds),
                *(run.processor_seconds, run.memory, load),
            ]
        ],
    )
    theirs, ours = score(given.sample, given.turns)
    report.table(
        f"ROUGE-1, -2, -L, -Lsum of summary and lead-3 of {given.sample} documents, one process",
        ["scorer", "documents/s, median", "of turns"],
        [
            ["rouge-score", median(theirs), len(theirs)],
            ["gistmill", median(ours), len(ours)],
        ],
    )
    report.data("seconds", run.seconds)
    report.write()


if __name__ == "__main__":
    main(sys.argv[1:])

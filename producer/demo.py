"""`gistmill demo`: the whole mill on this machine, on real documents, in minutes.

Embedded services, a dispatcher and one worker, all in `.demo`; nothing is fetched
and nothing is left running. It shows what the small model makes of each text,
and scores it against the first sentences, whoever wins.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from jobs import logs, services, settings, tether
from jobs.errors import GistmillError, UsageError
from jobs.model_names import PACKAGED as MODEL
from jobs.settings import Settings
from producer.cli import output, watch
from producer.client import Client
from producer.demo_documents import documents
from producer.evaluation.rouge import Rouge, rouge
from producer.evaluation.sentences import lead
from producer.job import Job
from producer.status import JobStatusView, exit_code

_SHOWN = 4
_STOP_SECONDS = 30.0
_SIGTERM = 15


def run(limit: int) -> int:
    """The demo on up to `limit` documents; returns the exit code of its job.

    Raises UsageError where no package has anything to summarize.
    """
    chosen = _spread(documents(), limit)
    if not chosen:
        raise UsageError("no package installed here has a description to summarize")
    # Whatever this machine is set to, the demo keeps to itself.
    own = {"home": Path(".demo").absolute(), "database_url": None, "broker_url": None}
    mill = settings.load().here.model_copy(update=own)
    output.hint(f"{len(chosen)} documents, model {MODEL}, everything in {mill.home}")
    output.hint("starting; the model takes some 20 seconds to load for the first time ...")
    with output.client(mill) as client, _running(mill) as check:
        job = client.submit(
            chosen,
            model=MODEL,
            name="demo",
            dtype="bfloat16",
            id_column="id",
            reference_column="reference",
            max_input_tokens=512,
            max_new_tokens=64,
            shard_size=8,
        )
        ended = watch.progress(client, job, check)
        _report(client, job, {document["id"]: document["text"] for document in chosen})
    services.wait_stopped(mill.home, _STOP_SECONDS)
    return exit_code(ended)


def _spread(found: Sequence[dict[str, str]], limit: int) -> list[dict[str, str]]:
    """`limit` of them, taken evenly from the whole alphabet."""
    if len(found) <= limit:
        return list(found)
    return [found[number * len(found) // limit] for number in range(limit)]


@contextmanager
def _running(mill: Settings) -> Iterator[Callable[[], None]]:
    """A dispatcher and a worker, stopped at the end however that comes.

    What it yields raises GistmillError once one of them has ended by itself.
    """
    started = {name: _start(name, mill) for name in ("dispatch", "worker")}

    def check() -> None:
        for name, process in started.items():
            if process.poll() is not None:
                raise _ended(name, process.returncode, _log_of(name, mill))

    try:
        yield check
    finally:
        for process in started.values():
            process.terminate()
        for process in started.values():
            process.wait(_STOP_SECONDS)


def _start(name: str, mill: Settings) -> subprocess.Popen[bytes]:
    with _log_of(name, mill).open("wb") as log:
        return subprocess.Popen(
            tether.argv([sys.executable, "-P", "-m", "gistmill", name], _SIGTERM),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=settings.child_environment(mill),
            start_new_session=True,
        )


def _log_of(name: str, mill: Settings) -> Path:
    return mill.home / f"demo-{name}.log"


def _ended(name: str, code: int, log: Path) -> GistmillError:
    kind = UsageError if code == UsageError.exit_code else GistmillError
    last = log.read_text(errors="replace").strip().rpartition("\n")[2]
    return kind(f"gistmill {name} ended with {code}: {logs.in_words(last)} (all of its log: {log})")


def _report(client: Client, job: Job, texts: dict[str, str]) -> None:
    done = [row for row in job.results() if row["summary"]]
    if not done:
        return
    console = Console(highlight=False)
    console.print(_side_by_side(done[:: max(1, len(done) // _SHOWN)][:_SHOWN]))
    console.print(_scores(done, texts))
    console.print(_speed(job.status()))
    console.print(_what_next(client.settings, job), soft_wrap=True)


def _side_by_side(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(title="What the model says, and what the author says", show_lines=True)
    for heading, share in (("package", 1), ("summary", 4), ("the author's own line", 2)):
        table.add_column(heading, ratio=share)
    for row in rows:
        table.add_row(row["id"], row["summary"], row["reference"])
    return table


def _scores(rows: Sequence[dict[str, Any]], texts: dict[str, str]) -> Table:
    table = Table(title=f"ROUGE against the author's line, {len(rows)} documents")
    table.add_column("")
    for heading in ("ROUGE-1", "ROUGE-2", "ROUGE-L"):
        table.add_column(heading, justify="right")
    model = rouge((row["summary"], row["reference"]) for row in rows)
    first = rouge((lead(texts[row["id"]]), row["reference"]) for row in rows)
    table.add_row(MODEL, *_figures(model))
    table.add_row("lead-3, the first sentences", *_figures(first))
    return table


def _figures(scores: Rouge) -> list[str]:
    return [f"{score:.1f}" for score in (scores.rouge1, scores.rouge2, scores.rougeL)]


def _speed(status: JobStatusView) -> str:
    counts, usage = status.counts, status.usage
    if status.throughput is None:
        return f"{counts.completed} summaries"
    return (
        f"{counts.completed} summaries, {output.speed(status.throughput.documents_per_second)} "
        f"with the loading of the model; {usage.input_tokens:,} tokens in, "
        f"{usage.output_tokens:,} out"
    )


def _what_next(mill: Settings, job: Job) -> str:
    here = settings.load()
    others = {"DATABASE": here.database_url, "BROKER": here.broker_url}
    unset = "".join(f"GISTMILL_{name}_URL= " for name, url in others.items() if url)
    results = f"{unset}GISTMILL_HOME={mill.home.name} gistmill results {job.id}"
    steps = {
        results: "all of these summaries",
        "gistmill up": "a mill of your own",
        "gistmill submit FILE.jsonl --model lead-3": "work for it, from another terminal",
    }
    width = max(map(len, steps))
    lines = (f"  {step.ljust(width)}   {what}" for step, what in steps.items())
    return "\n".join(["", "What next (gistmill is in .venv/bin):", *lines])

"""`gistmill demo`: the whole mill on this machine, on real documents, in minutes.

Embedded services, a dispatcher and one worker, all in `.demo`; nothing is fetched
and nothing is left running. It shows what the small model makes of each text,
and scores it against the first sentences, whoever wins.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from jobs import services, settings, tether
from jobs.errors import UsageError
from jobs.model_names import PACKAGED as MODEL
from jobs.settings import Settings
from producer.cli import output, watch
from producer.client import Client, Job
from producer.demo_documents import documents
from producer.evaluate import Rouge, lead, rouge
from producer.status import JobStatusView, exit_code

_DOCUMENTS = 32
_SHOWN = 4
_STOP_SECONDS = 30.0
_SIGTERM = 15


@click.command()
@click.option("--limit", type=click.IntRange(1), default=_DOCUMENTS, show_default=True)
def command(limit: int) -> int:
    """Summarize what the packages installed here say of themselves, with a small model."""
    chosen = _spread(documents(), limit)
    if not chosen:
        raise UsageError("no package installed here has a description to summarize")
    # Whatever this machine is set to, the demo keeps to itself.
    own = {"home": Path(".demo").absolute(), "database_url": None, "broker_url": None}
    mill = settings.load().model_copy(update=own)
    output.hint(f"{len(chosen)} documents, model {MODEL}, everything in {mill.home}")
    output.hint("starting; the model takes some 20 seconds to load for the first time ...")
    with output.client(mill) as client, _running(mill):
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
        ended = watch.progress(client, job)
        _report(client, job, {document["id"]: document["text"] for document in chosen})
    services.wait_stopped(mill.home, _STOP_SECONDS)
    return exit_code(ended)


def _spread(found: Sequence[dict[str, str]], limit: int) -> list[dict[str, str]]:
    """`limit` of them, taken evenly from the whole alphabet."""
    if len(found) <= limit:
        return list(found)
    return [found[number * len(found) // limit] for number in range(limit)]


@contextmanager
def _running(mill: Settings) -> Iterator[None]:
    """A dispatcher and a worker, stopped at the end however that comes."""
    log_file = mill.home / "demo.log"
    environment = settings.child_environment(mill)
    with log_file.open("ab") as log:
        started = [
            subprocess.Popen(
                tether.argv([sys.executable, "-P", "-m", "gistmill", *words], _SIGTERM),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
            for words in (["dispatch"], ["worker"])
        ]
        try:
            yield
        finally:
            for process in started:
                process.terminate()
            for process in started:
                process.wait(_STOP_SECONDS)


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
    steps = {
        f"GISTMILL_HOME={mill.home.name} gistmill results {job.id}": "all of these summaries",
        "gistmill up": "a mill of your own",
        "gistmill submit FILE.jsonl --model lead-3": "work for it, from another terminal",
    }
    width = max(map(len, steps))
    lines = (f"  {step.ljust(width)}   {what}" for step, what in steps.items())
    return "\n".join(["", "What next (gistmill is in .venv/bin):", *lines])

"""`gistmill submit`: files, a dataset or standard input become a job."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from jobs import options
from jobs.errors import UsageError
from jobs.states import JobStatus
from producer.cli import dry_run, output, url, watch
from producer.cli.labels import parse_labels
from producer.cli.output import counted

if TYPE_CHECKING:
    from jobs.sources.asked import Asked
    from producer.client import Client
    from producer.job import Job
    from producer.submit import Request


@click.command(
    epilog="""\b
Examples:
  gistmill submit papers.jsonl --model lead-3
  gistmill submit papers.jsonl --model facebook/bart-large-cnn --num-beams 4
  gistmill submit papers.jsonl --model lead-3 --deadline 8h --dry-run
  gistmill submit 's3://corpus/2026/*.parquet' --model lead-3
  gistmill submit EdinburghNLP/xsum --split test --model lead-3
  cat notes.txt | gistmill submit - --lines --model lead-1 --wait
"""
)
@click.argument(
    "sources", metavar="SOURCE", nargs=-1, required=True, type=click.Path(allow_dash=True)
)
@options.of_a_summary
@url.option
@click.option("--name", help="A name for people to know the job by.")
@click.option("--format", metavar="FORMAT", help="Of the files, where their names do not tell it.")
@click.option("--lines", is_flag=True, help="Standard input is plain text, a document a line.")
@click.option("--split", help="Of a dataset: train, test[:10%], train+test.")
@click.option("--config", metavar="NAME", help="Of a dataset on the hub that has several.")
@click.option("--revision", help="Of a dataset on the hub: a branch, a tag or a commit.")
@click.option("--text-column", help="What to summarize. [default: guessed]")
@click.option("--id-column", help="Your own ids, given back. '' for none. [default: guessed]")
@click.option("--reference-column", help="Human summaries, given back too. [default: guessed]")
@click.option(
    "--shard-size", type=int, metavar="DOCUMENTS", help="Of each shard. [default: up to 256]"
)
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="To find it by.")
@click.option("--priority", type=int, default=0, show_default=True, help="Higher goes first.")
@click.option("--fair-by", metavar="LABEL", help="Share the mill fairly between its values.")
@click.option("--window", metavar="HOURS", help='Run only then: "22:00-07:00 Europe/Berlin".')
@click.option("--deadline", metavar="TIME", help="End it then, done or not: 8h, 2026-12-24T07:00.")
@click.option("--max-error-rate", type=float, metavar="SHARE", help="0.2: fail above one in five.")
@click.option("--idempotency-key", metavar="KEY", help="Submitted twice, it is one job.")
@click.option("--no-reuse", is_flag=True, help="Summarize again what was summarized before.")
@click.option("--webhook", metavar="URL", help="Tell it, signed, when the job is over.")
@click.option("--dry-run", is_flag=True, help="Only show what would be done, from a sample.")
@click.option(
    "--wait/--detach", default=None, help="Wait for the end, or not. [default: wait on a terminal]"
)
@click.option("-q", "--quiet", is_flag=True, help="Print the job's id and nothing else.")
@click.option("--json", "as_json", is_flag=True, help="Print the job as JSON.")
def command(
    sources: tuple[str, ...], wait: bool | None, quiet: bool, as_json: bool, **given: Any
) -> int:
    """Submit SOURCE: files, a URL, a dataset of the hub, or - for standard input."""
    source, *others = sources
    if others:
        how = "put a pattern in quotes, as in 'data/*.parquet', or name a folder"
        raise UsageError(f"{counted(len(sources), 'source')}, and a job has one; {how}")
    request = _request(given)
    asked = _asked(given)
    if given["lines"] and source != "-":
        raise UsageError(f"--lines reads standard input: gistmill submit - --lines < {source}")
    of_files = [name for name in ("format", "split", "config", "revision") if given[name]]
    if source == "-" and of_files:
        raise UsageError(
            f"--{of_files[0]} is not for standard input, which is JSON lines or --lines"
        )
    with output.client() as client:
        if source == "-":
            stream, plain = sys.stdin.buffer, given["lines"]
            job = client.submit_stream(request, stream, asked.columns, plain=plain)
        else:
            job = client.submit_source(request, source, asked)
        if request.dry_run:
            return _show_dry_run(client, job, quiet=quiet, as_json=as_json)
        if wait is None:
            wait = output.interactive() and not (quiet or as_json)
        _announce(client, job, wait=wait, quiet=quiet, as_json=as_json)
        return watch.follow(client, job, quiet=quiet or as_json) if wait else 0


def _request(given: dict[str, Any]) -> Request:
    from jobs.windows import RunWindow
    from producer.submit import Request

    return Request(
        model=options.model(given),
        name=given["name"],
        engine=given["engine"],
        dtype=given["dtype"],
        prompt=given["prompt"],
        parameters=options.parameters(given),
        shard_size=given["shard_size"],
        labels=parse_labels(given["labels"]),
        priority=given["priority"],
        idempotency_key=given["idempotency_key"],
        window=RunWindow.parse(given["window"]) if given["window"] else None,
        deadline=_deadline(given["deadline"]),
        fair_by=given["fair_by"],
        max_error_rate=given["max_error_rate"],
        reuse=not given["no_reuse"],
        dry_run=given["dry_run"],
        webhook=given["webhook"],
    )


def _asked(given: dict[str, Any]) -> Asked:
    from jobs import columns
    from jobs.sources.asked import Asked

    named = columns.Asked(given["text_column"], given["id_column"], given["reference_column"])
    of_dataset = {name: given[name] for name in ("config", "split", "revision")}
    return Asked(named, format=given["format"], **of_dataset)


def _deadline(text: str | None) -> datetime | None:
    from producer import times

    return times.deadline(text, datetime.now(UTC)) if text else None


def _show_dry_run(client: Client, job: Job, *, quiet: bool, as_json: bool) -> int:
    """A dry run is waited for: it is short, and there is nothing to come back to."""
    from producer.status import exit_code

    output.tell_what_is_missing(client)
    ended = job.wait()
    if quiet:
        click.echo(job.id)
    elif as_json:
        output.show_json(ended.to_json())
    elif ended.status == JobStatus.COMPLETED:
        dry_run.show(ended)
    else:
        output.hint(output.line(ended))
    return exit_code(ended)


def _announce(client: Client, job: Job, *, wait: bool, quiet: bool, as_json: bool) -> None:
    if quiet:
        click.echo(job.id)
        return
    status = job.status()
    if as_json:
        output.show_json(status.to_json())
    else:
        click.echo(job.id)
        accepted = "accepted" if job.new else "submitted before"
        total = output.counted(status.counts.total or 0, "document")
        follow = "" if wait else f"; follow it with: gistmill watch {job.id}"
        output.hint(f"{accepted}: {total}, model {status.model}{follow}")
    output.tell_what_is_missing(client, waiting_for=job.id if wait else None)

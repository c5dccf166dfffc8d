"""`gistmill submit`: a JSONL file or standard input becomes a job."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

import click

from jobs import options, settings
from jobs.allowed_sources import Allowed, is_url, without_secrets
from jobs.documents import Columns, Document, from_line, from_text
from jobs.errors import UsageError
from jobs.states import JobStatus
from producer.cli import dry_run, output, watch
from producer.cli.labels import parse_labels

if TYPE_CHECKING:
    from producer.client import Client, Job
    from producer.submit import Request


@click.command(
    epilog="""\b
Examples:
  gistmill submit papers.jsonl --model lead-3
  gistmill submit papers.jsonl --model facebook/bart-large-cnn --num-beams 4
  gistmill submit papers.jsonl --model lead-3 --deadline 8h --dry-run
  cat notes.txt | gistmill submit - --lines --model lead-1 --wait
"""
)
@click.argument("source", type=click.Path(allow_dash=True))
@options.of_a_summary
@click.option("--name", help="A name for people to know the job by.")
@click.option("--lines", is_flag=True, help="Standard input is plain text, a document a line.")
@click.option("--text-column", default="text", show_default=True)
@click.option("--id-column", help="Your own id of each document, given back with its summary.")
@click.option("--reference-column", help="A human summary, given back for comparison.")
@click.option(
    "--shard-size", type=int, metavar="DOCUMENTS", help="Of each shard. [default: up to 256]"
)
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="To find it by.")
@click.option("--priority", type=int, default=0, show_default=True, help="Higher goes first.")
@click.option("--fair-by", metavar="LABEL", help="Share the mill fairly between its values.")
@click.option("--window", metavar="HOURS", help='Run only then: "22:00-07:00 Europe/Berlin".')
@click.option("--deadline", metavar="TIME", help="End it then, done or not: 8h, 07:00, a date.")
@click.option("--max-error-rate", type=float, metavar="SHARE", help="0.2: fail above one in five.")
@click.option("--idempotency-key", metavar="KEY", help="Submitted twice, it is one job.")
@click.option("--no-reuse", is_flag=True, help="Summarize again what was summarized before.")
@click.option("--dry-run", is_flag=True, help="Only show what would be done, from a sample.")
@click.option(
    "--wait/--detach", default=None, help="Wait for the end, or not. [default: wait on a terminal]"
)
@click.option("-q", "--quiet", is_flag=True, help="Print the job's id and nothing else.")
@click.option("--json", "as_json", is_flag=True, help="Print the job as JSON.")
def command(source: str, wait: bool | None, quiet: bool, as_json: bool, **given: Any) -> int:
    """Submit SOURCE, a JSONL file, or - for standard input."""
    request = _request(given)
    columns = Columns(given["text_column"], given["id_column"], given["reference_column"])
    if given["lines"] and source != "-":
        raise UsageError(f"--lines reads standard input: gistmill submit - --lines < {source}")
    if is_url(source):
        _refuse_url(source)
    with output.client() as client:
        if source == "-":
            documents = _from_stream(sys.stdin.buffer, columns, lines=given["lines"])
            job = client.submit_documents(request, documents)
        else:
            job = client.submit_file(request, Path(source), columns)
        if request.dry_run:
            return _show_dry_run(client, job, quiet=quiet, as_json=as_json)
        if wait is None:
            wait = output.interactive() and not (quiet or as_json)
        _announce(client, job, wait=wait, quiet=quiet, as_json=as_json)
        return watch.follow(client, job, quiet=quiet or as_json) if wait else 0


def _refuse_url(url: str) -> NoReturn:
    """Raises NotAllowed where it lies elsewhere than documents may, else UsageError."""
    Allowed(settings.load().allowed_sources).check_url(url)
    raise UsageError(
        f"{without_secrets(url)}: documents at a URL can not be submitted yet; pipe them, with the "
        "same flags: curl URL | gistmill submit - ..."
    )


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
    )


def _deadline(text: str | None) -> datetime | None:
    from producer import times

    return times.deadline(text, datetime.now(UTC)) if text else None


def _from_stream(stream: BinaryIO, columns: Columns, *, lines: bool) -> Iterator[Document]:
    filled = ((number, line) for number, line in enumerate(stream, 1) if line.strip())
    for index, (number, line) in enumerate(filled):
        where = f"line {number}"
        if lines:
            text = line.decode(errors="replace").rstrip("\r\n")
            yield from_text(index, text, where=where)
        else:
            yield from_line(index, line, columns, where)


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

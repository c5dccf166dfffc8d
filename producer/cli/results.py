"""`gistmill results`: a job's rows, or its source with summaries, to wherever they are wanted."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

import click

from jobs.errors import NotFound, UsageError
from jobs.states import JobStatus
from producer import formats
from producer.cli import output, url

if TYPE_CHECKING:
    from producer.listings import Listing
    from producer.status import JobStatusView


@click.command(
    epilog="""\b
Examples:
  gistmill results JOB | head
  gistmill results JOB --format csv > summaries.csv
  gistmill results JOB --join -o papers.parquet
  gistmill results JOB --join --to s3://corpus/papers.parquet
  gistmill results JOB --push-to-hub ORG/NAME --private
"""
)
@click.argument("job")
@url.option
@click.option("--join", is_flag=True, help="The source's own columns, and the summary.")
@click.option(
    "--summary-column",
    metavar="NAME",
    help="Of a join. [default: summary, or generated_summary if the source has that]",
)
@click.option(
    "-o",
    "--output",
    "--to",
    "place",
    metavar="FILE|URL",
    help="Write this, whole or not at all.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(list(formats.WRITERS)),
    help="[default: what FILE ends in, else jsonl]",
)
@click.option(
    "--push-to-hub",
    "repository",
    metavar="ORG/NAME",
    help="A join, as a dataset with a card.",
)
@click.option("--private", is_flag=True, help="With --push-to-hub: for nobody else to see.")
def command(
    job: str,
    join: bool,
    summary_column: str | None,
    place: str | None,
    form: str | None,
    repository: str | None,
    private: bool,
) -> int:
    """Print JOB's rows in order, failed documents included; of a running job, what is stored.

    With --join, or to the hub: the source's own rows, with two columns more.
    """
    if repository:
        if place or form:
            raise UsageError("--push-to-hub writes to the hub alone; leave out -o and --format")
        return _push(job, repository, private, summary_column)
    if private:
        raise UsageError("--private is for a dataset on the hub: add --push-to-hub ORG/NAME")
    return _write(job, join, summary_column, place, form)


def _write(
    job: str, join: bool, summary_column: str | None, place: str | None, form: str | None
) -> int:
    from producer import outputs, results

    chosen = results.choose_format(form, place)
    with output.client() as client:
        found = client.job(job)
        status = found.status()
        with found.listing(join=join, summary_column=summary_column) as listing:
            _tell_the_column(listing.summary_column, summary_column)
            if place:
                count = results.save(listing.write, place, chosen)
                name = outputs.shown(place)
                output.hint(f"{name}: {output.counted(count, 'row')} of {chosen}")
            else:
                count = _print(listing, chosen)
        _tell_what_is_missing(status, count)
    return 0


def _push(job: str, repository: str, private: bool, summary_column: str | None) -> int:
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]

    if not output.interactive():
        disable_progress_bars()
    # It warns of a push that changes nothing, of which we tell ourselves.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    with output.client() as client:
        found = client.job(job)
        status = found.status()
        pushed = found.push_to_hub(repository, private=private, summary_column=summary_column)
        _tell_the_column(pushed.summary_column, summary_column)
        click.echo(pushed.url)
        same = "" if pushed.new else ", as it was"
        output.hint(f"{output.counted(pushed.rows, 'row')} at commit {pushed.commit}{same}")
        _tell_what_is_missing(status, pushed.rows)
    return 0


def _tell_the_column(chosen: str, asked: str | None) -> None:
    if asked is None and chosen != "summary":
        output.hint(
            f"summaries are in the column {chosen}: the source has a summary or summary_error of "
            "its own (--summary-column names another)"
        )


def _tell_what_is_missing(status: JobStatusView, rows: int) -> None:
    if not status.over:
        output.hint(f"{output.counted(rows, 'row')} so far; {status.id} is {status.status}")
    elif status.status != JobStatus.COMPLETED:
        output.hint(output.line(status))


def _print(listing: Listing, form: str) -> int:
    try:
        # Python's own standard output would try again at exit what could not be written.
        with os.fdopen(sys.stdout.fileno(), "wb", closefd=False) as out:
            return listing.write(form, out)
    except BrokenPipeError:
        raise
    except OSError as error:
        message = f"standard output: {error.strerror}; not all rows were written"
        raise NotFound(message) from error

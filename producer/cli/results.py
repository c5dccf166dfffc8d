"""`gistmill results`: a job's rows, or its source with summaries, to wherever they are wanted."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from jobs.errors import NotFound
from jobs.states import JobStatus
from producer import formats
from producer.cli import output

if TYPE_CHECKING:
    from producer.listings import Listing


@click.command(
    epilog="""\b
Examples:
  gistmill results JOB | head
  gistmill results JOB --format csv > summaries.csv
  gistmill results JOB --join -o papers.parquet
  gistmill results JOB --join --to s3://bucket/papers.parquet
"""
)
@click.argument("job")
@click.option("--join", is_flag=True, help="The source's own columns, and the summary beside them.")
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
    help="Write this, whole or not at all; URLs as in s3://bucket/out.parquet.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(list(formats.WRITERS)),
    help="[default: what FILE ends in, else jsonl]",
)
def command(
    job: str, place: str | None, form: str | None, join: bool, summary_column: str | None
) -> int:
    """Print JOB's rows in order, failed documents included; of a running job, what is stored."""
    from producer import outputs, results

    chosen = results.choose_format(form, place)
    with output.client() as client:
        found = client.job(job)
        status = found.status()
        with found.listing(join=join, summary_column=summary_column) as listing:
            _tell_the_column(listing, summary_column)
            if place:
                count = results.save(listing.rows(), place, chosen, listing)
                name = outputs.shown(place)
                output.hint(f"{name}: {output.counted(count, 'row')} of {chosen}")
            else:
                count = _print(listing, chosen)
        if not status.over:
            output.hint(f"{output.counted(count, 'row')} so far; {found.id} is {status.status}")
        elif status.status != JobStatus.COMPLETED:
            output.hint(output.line(status))
    return 0


def _tell_the_column(listing: Listing, asked: str | None) -> None:
    chosen = listing.summary_column
    if asked is None and chosen != "summary":
        output.hint(
            f"summaries are in the column {chosen}: the source has a column summary of its own "
            "(--summary-column names another)"
        )


def _print(listing: Listing, form: str) -> int:
    try:
        # Python's own standard output would try again at exit what could not be written.
        with os.fdopen(sys.stdout.fileno(), "wb", closefd=False) as out:
            return formats.WRITERS[form](listing.rows(), out, listing)
    except BrokenPipeError:
        raise
    except OSError as error:
        message = f"standard output: {error.strerror}; not all rows were written"
        raise NotFound(message) from error

"""`gistmill results`: a job's rows in one of three formats, to standard output or to a file."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from jobs.errors import NotFound
from jobs.states import JobStatus
from producer import formats
from producer.cli import output


@click.command(
    epilog="""\b
Examples:
  gistmill results JOB | head
  gistmill results JOB --format csv > summaries.csv
  gistmill results JOB -o summaries.parquet
"""
)
@click.argument("job")
@click.option("-o", "--output", "path", type=click.Path(path_type=Path), help="Write this file.")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(formats.WRITERS)),
    help="[default: what FILE ends in, else jsonl]",
)
def command(job: str, path: Path | None, form: str | None) -> int:
    """Print JOB's rows in order, failed documents included; of a running job, what is stored."""
    from producer import results

    chosen = results.choose_format(form, path)
    with output.client() as client:
        found = client.job(job)
        status = found.status()
        count = found.save(path, chosen) if path else _print(found.results(), chosen)
        if path:
            output.hint(f"{path}: {output.counted(count, 'row')} of {chosen}")
        if not status.over:
            output.hint(f"{output.counted(count, 'row')} so far; {found.id} is {status.status}")
        elif status.status != JobStatus.COMPLETED:
            output.hint(output.line(status))
    return 0


def _print(rows: Iterable[dict[str, Any]], form: str) -> int:
    try:
        # Python's own standard output would try again at exit what could not be written.
        with os.fdopen(sys.stdout.fileno(), "wb", closefd=False) as out:
            return formats.WRITERS[form](rows, out)
    except BrokenPipeError:
        raise
    except OSError as error:
        message = f"standard output: {error.strerror}; not all rows were written"
        raise NotFound(message) from error

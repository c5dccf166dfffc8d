"""`gistmill results`: a job's rows as JSON lines, to standard output or to a file."""

import sys
from pathlib import Path

import click

from producer.cli import output


@click.command(
    epilog="""\b
Examples:
  gistmill results JOB | head
  gistmill results JOB -o summaries.jsonl
"""
)
@click.argument("job")
@click.option("-o", "--output", "path", type=click.Path(path_type=Path), help="Write this file.")
def command(job: str, path: Path | None) -> int:
    """Print JOB's rows in order, failed documents included; of a running job, what is stored."""
    from producer import results

    with output.client() as client:
        found = client.job(job)
        status = found.status()
        rows = found.results()
        if path is None:
            results.write(rows, sys.stdout)
        else:
            count = results.save(rows, path)
            output.hint(f"{path}: {count:,} rows")
        if not status.over:
            output.hint(f"{found.id} is {status.status}: these are the rows stored so far")
    return 0

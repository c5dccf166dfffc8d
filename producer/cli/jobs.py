"""`gistmill status`, `ls` and `wait`: a job as it stands, the newest jobs, a job's end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from producer.cli import output, url
from producer.cli.labels import parse_labels

if TYPE_CHECKING:
    from producer.status import JobStatusView


@click.command(
    epilog="""\b
Examples:
  gistmill status JOB
  gistmill status JOB --json
"""
)
@click.argument("job")
@url.option
@click.option("--json", "as_json", is_flag=True, help="Print the job as JSON.")
def status(job: str, as_json: bool) -> int:
    """Show JOB, an id or how it begins, as it stands."""
    with output.client() as client:
        found = client.job(job).status()
        if as_json:
            output.show_json(found.to_json())
        else:
            click.echo(output.line(found))
            if found.fallback:
                click.echo(f"  {output.engine(found)}")
            if found.batching and found.batching.padding_share is not None:
                click.echo(f"  {output.batching(found.batching)}")
            if found.forecast and (found.forecast.actual or found.dry_run):
                click.echo(f"  {output.forecast(found.forecast)}")
        if not found.over:
            output.tell_what_is_missing(client)
    return 0


@click.command(
    epilog="""\b
Examples:
  gistmill ls
  gistmill ls --label user=ann -q
"""
)
@url.option
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="Only jobs with it.")
@click.option("-q", "--quiet", is_flag=True, help="Print ids and nothing else.")
@click.option("--json", "as_json", is_flag=True, help="Print the jobs as JSON.")
def ls(limit: int, labels: tuple[str, ...], quiet: bool, as_json: bool) -> int:
    """List the newest jobs, the newest first."""
    with output.client() as client:
        found = client.jobs(limit, parse_labels(labels))
    if as_json:
        output.show_json([job.to_json() for job in found])
    elif quiet:
        for job in found:
            click.echo(job.id)
    elif found:
        _table(found)
    else:
        some = "with these labels" if labels else "yet; submit one with: gistmill submit FILE"
        output.hint(f"no job {some}")
    return 0


@click.command(
    epilog="""\b
Examples:
  gistmill wait JOB
  gistmill wait JOB --timeout 3600 -q
"""
)
@click.argument("job")
@url.option
@click.option("--timeout", type=click.FloatRange(0), metavar="SECONDS", help="Exit 124 after this.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the job as JSON.")
def wait(job: str, timeout: float | None, quiet: bool, as_json: bool) -> int:
    """Wait until JOB is over. Exits 0 done, 1 failed, cancelled or expired, 3 done but for
    some documents."""
    from producer.status import exit_code

    with output.client() as client:
        ended = client.job(job).wait(timeout)
    if as_json:
        output.show_json(ended.to_json())
    elif not quiet:
        click.echo(output.line(ended))
    return exit_code(ended)


def _table(found: list[JobStatusView]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("JOB", "STATUS", "MODEL", "NAME"):
        table.add_column(heading, no_wrap=heading in ("JOB", "STATUS"))
    for heading in ("DONE", "FAILED", "TOTAL"):
        table.add_column(heading, justify="right", no_wrap=True)
    for job in found:
        counts = job.counts
        numbers = (counts.completed, counts.failed, counts.total or 0)
        names = (job.id, output.state(job), job.model, job.name or "")
        table.add_row(*names, *(f"{number:,}" for number in numbers))
    Console(markup=False, highlight=False).print(table)

"""`gistmill cancel`, `pause`, `resume`, `retry`, `priority`, `purge`: what users ask of jobs."""

import click

from producer import times
from producer.cli import output, url


@click.command(
    epilog="""\b
Examples:
  gistmill cancel JOB
"""
)
@click.argument("job")
@url.option
def cancel(job: str) -> int:
    """Stop JOB for good; what is done is kept."""
    with output.client() as client:
        found = client.job(job)
        found.cancel()
        click.echo(output.line(found.status()))
    return 0


@click.command(
    epilog="""\b
Examples:
  gistmill pause JOB
"""
)
@click.argument("job")
@url.option
def pause(job: str) -> int:
    """Stop JOB for now; batches in hand are finished."""
    with output.client() as client:
        found = client.job(job)
        found.pause()
        click.echo(output.line(found.status()))
    return 0


@click.command(
    epilog="""\b
Examples:
  gistmill resume JOB
"""
)
@click.argument("job")
@url.option
def resume(job: str) -> int:
    """Go on with JOB: paused, or ended by its error rate."""
    with output.client() as client:
        found = client.job(job)
        found.resume()
        click.echo(output.line(found.status()))
        output.tell_what_is_missing(client)
    return 0


@click.command(
    epilog="""\b
Examples:
  gistmill retry JOB
  gistmill retry JOB --error worker_died
"""
)
@click.argument("job")
@url.option
@click.option("--error", metavar="CODE", help="Only failed documents with this error code.")
def retry(job: str, error: str | None) -> int:
    """Do again what failed in JOB, and what was cut off."""
    with output.client() as client:
        found = client.job(job)
        retried = found.retry(error)
        if not retried.failed and not retried.unfinished:
            output.hint(f"nothing to retry in {found.id}; `gistmill failures` lists error codes")
            return 0
        again = output.counted(retried.failed + retried.unfinished, "document")
        why = f"{retried.failed:,} failed, {retried.unfinished:,} cut off"
        click.echo(f"{found.id}: {again} to do again ({why})")
        output.tell_what_is_missing(client)
    return 0


@click.command(
    epilog="""\b
Examples:
  gistmill priority JOB 10
  gistmill priority JOB -- -10
""",
)
@click.argument("job")
@url.option
@click.argument("value", type=click.IntRange(-1000, 1000), metavar="N")
def priority(job: str, value: int) -> int:
    """Set JOB's priority: higher goes first, 0 is usual."""
    with output.client() as client:
        found = client.job(job)
        found.set_priority(value)
        click.echo(f"{found.id} has priority {value}")
    return 0


@click.command(
    epilog="""\b
Examples:
  gistmill purge --older-than 30d
  gistmill purge --older-than 30d --yes
"""
)
@url.option
@click.option("--older-than", required=True, metavar="AGE", help="Over for so long: 30d, 12h, 2w.")
@click.option("--yes", is_flag=True, help="Delete them; without it they are only listed.")
def purge(older_than: str, yes: bool) -> int:
    """Delete jobs that have long been over, results and all."""
    age = times.duration(older_than)
    with output.client() as client:
        old = client.purge(age, dry_run=not yes)
    for job_id in old:
        click.echo(job_id)
    if yes:
        output.hint(f"deleted {output.counted(len(old), 'job')}")
    elif old:
        output.hint(f"{output.counted(len(old), 'job')} would be deleted; add --yes to delete")
    else:
        output.hint(f"no job has been over for {older_than}")
    return 0

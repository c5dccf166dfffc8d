"""`gistmill failures`: a job's failed documents by reason."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from producer.cli import output, url

if TYPE_CHECKING:
    from datetime import datetime

    from jobs.store.summaries import Failures


@click.command(
    epilog="""\b
Examples:
  gistmill failures JOB
  gistmill failures JOB --samples 10 --json
"""
)
@click.argument("job")
@url.option
@click.option("--samples", type=click.IntRange(0, 1000), default=3, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
def command(job: str, samples: int, as_json: bool) -> int:
    """Show why documents of JOB failed: by error code, with samples."""
    with output.client() as client:
        found = client.job(job)
        failures = found.failures(samples)
    if as_json:
        output.show_json([_as_json(each) for each in failures])
    elif not failures:
        output.hint(f"no document of {found.id} has failed")
    for each in [] if as_json else failures:
        _show(each)
    if failures and not as_json:
        output.hint(f"do them again with: gistmill retry {found.id} [--error CODE]")
    return 0


def _as_json(each: Failures) -> dict[str, object]:
    seen = {"first_seen": int(each.first_seen.timestamp())}
    return {**asdict(each), **seen, "last_seen": int(each.last_seen.timestamp())}


def _show(each: Failures) -> None:
    seen = _local(each.first_seen)
    if _local(each.last_seen) != seen:
        seen = f"{seen} to {_local(each.last_seen)}"
    click.echo(f"{each.code}: {output.counted(each.documents, 'document')}, {seen}")
    for sample in each.samples:
        name = "" if sample["id"] is None else f" [{sample['id']}]"
        click.echo(f"  {sample['index']:>8}{name}  {sample['message']}")


def _local(time: datetime) -> str:
    return f"{time.astimezone():%Y-%m-%d %H:%M:%S}"

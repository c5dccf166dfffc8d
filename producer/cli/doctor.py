"""`gistmill doctor`: is everything there that a job needs, and if not, what to do."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from jobs import settings
from producer.cli import output, url

if TYPE_CHECKING:
    from producer.doctor import Finding

_MARKS = {
    "ok": ("ok     ", "green"),
    "warning": ("warning", "yellow"),
    "failed": ("FAILED ", "red"),
}


@click.command(
    epilog="""\b
Examples:
  gistmill doctor
  gistmill doctor --json
"""
)
@url.option
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(as_json: bool) -> int:
    """Examine database, broker, dispatcher, workers and queue. Exits 1 where one has failed."""
    from producer import doctor

    configured = settings.load()
    configured = configured.model_copy(update={"url": url.chosen() or configured.url})
    found = doctor.exposed(configured)
    if not found and configured.url:
        with output.client(configured) as client:
            found = doctor.examine_from_afar(client, configured.url)
    elif not found:
        with output.client(configured) as client:
            found = doctor.examine(client.database, client.broker, configured.timings)
    if as_json:
        output.show_json([asdict(each) for each in found])
    else:
        for each in found:
            _show(each)
    return int(any(each.state == "failed" for each in found))


def _show(each: Finding) -> None:
    mark, colour = _MARKS[each.state]
    click.echo(f"{output.coloured(mark, colour)}  {each.part + ':':<20} {each.says}")
    if each.do:
        click.echo(f"{'':<30}do: {each.do}")

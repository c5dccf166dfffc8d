"""`gistmill up`: services, migration, dispatcher and workers under one command."""

import sys
from collections.abc import Iterator

import click

from jobs import devices, processes, services, settings
from jobs.processes import Child
from jobs.settings import Settings
from producer.cli import output

# How long the embedded services may take to write down what they hold.
_SERVICES_STOP = 30.0


@click.command(
    epilog="""\b
Examples:
  gistmill up
  gistmill up --workers 2
"""
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    metavar="N",
    help="Workers on this machine. [default: one for each GPU, or one on the CPU]",
)
def command(workers: int | None) -> int:
    """Run the mill until Ctrl-C; restart what dies; leave no process behind."""
    from jobs.database import Database

    configured = settings.load()
    endpoints = services.connect(configured)
    database = Database(endpoints.database_url)
    if endpoints.embedded_database:
        database.migrate()
    database.close()
    output.hint("gistmill is up; submit work from another terminal; Ctrl-C stops it")
    try:
        processes.run(
            list(_children(configured, workers)), drain=configured.timings.drain, out=sys.stdout
        )
    finally:
        endpoints.release()
        services.wait_stopped(configured.home, _SERVICES_STOP)
    return 0


def _children(configured: Settings, workers: int | None) -> Iterator[Child]:
    environment = settings.child_environment(configured)
    gistmill = [sys.executable, "-P", "-m", "gistmill"]
    yield Child("dispatch", [*gistmill, "dispatch"], environment)
    found = devices.find("auto")
    for number in range(workers or len(found)):
        device = found[number % len(found)]
        argv = [*gistmill, "worker", "--device", device]
        yield Child(f"worker-{number + 1}", argv, environment)

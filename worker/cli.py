"""`gistmill worker`: one worker in this process, or several under a supervisor."""

import sys

import click

from jobs import devices, exposure, logs, processes, settings
from jobs.devices import Place
from jobs.settings import Settings
from worker import extra


@click.command(
    epilog="""\b
Examples:
  gistmill worker
  gistmill worker --device cpu
"""
)
@click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="auto|cpu|cuda:N",
    help="auto is each GPU, or, where there is none, the CPU, shared by several workers.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    metavar="N",
    help=f"Workers. {devices.DEFAULT_WORKERS}",
)
def command(device: str, workers: int | None) -> None:
    """Summarize shards until stopped: Ctrl-C or SIGTERM finishes the batch in hand."""
    # Even for lead: any worker may be asked to look at a model.
    extra.require("a worker")
    configured = settings.load()
    # Here, and not once for each of several.
    exposure.check(configured)
    form = logs.form_of(configured.log_format, sys.stderr)
    found = devices.places(device, workers)
    if len(found) == 1:
        from worker import app

        logs.configure(form)
        app.run(configured, found[0].device)
    else:
        _run_several(configured.model_copy(update={"log_format": form}), found)


def _run_several(configured: Settings, found: list[Place]) -> None:
    environment = settings.child_environment(configured)
    command = [sys.executable, "-P", "-m", "gistmill", "worker", "--workers", "1", "--device"]
    workers = [
        processes.Child(
            name=place.name,
            argv=[*command, place.device],
            env={**environment, **place.variables(environment)},
        )
        for place in found
    ]
    form = logs.form_of(configured.log_format, sys.stderr)
    processes.run(workers, drain=configured.timings.drain, out=sys.stderr, form=form)

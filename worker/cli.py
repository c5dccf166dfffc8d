"""`gistmill worker`: one worker on one device, or one for each GPU under a supervisor."""

import sys

import click

from jobs import devices, logs, processes, settings
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
    help="auto starts one worker for each GPU, or one on the CPU.",
)
def command(device: str) -> None:
    """Summarize shards until stopped: Ctrl-C or SIGTERM finishes the batch in hand."""
    # Even for lead: any worker may be asked to look at a model.
    extra.require("a worker")
    configured = settings.load()
    form = logs.form_of(configured.log_format, sys.stderr)
    found = devices.find(device)
    if len(found) == 1:
        from worker import app

        logs.configure(form)
        app.run(configured, found[0])
    else:
        _run_several(configured.model_copy(update={"log_format": form}), found)


def _run_several(configured: Settings, found: list[str]) -> None:
    workers = [
        processes.Child(
            name=device,
            argv=[sys.executable, "-P", "-m", "gistmill", "worker", "--device", device],
            env=settings.child_environment(configured),
        )
        for device in found
    ]
    form = logs.form_of(configured.log_format, sys.stderr)
    processes.run(workers, drain=configured.timings.drain, out=sys.stderr, form=form)

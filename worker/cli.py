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
  gistmill worker --metrics-port 9101
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
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default=True,
    metavar="N",
    help="Serve Prometheus' /metrics there; of several workers each on the next port. 0 is off.",
)
@click.option(
    "--metrics-host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Where /metrics listens; nobody is asked for a password.",
)
@click.option("--events", is_flag=True, help="Send Celery's events, for Flower: docs/metrics.md.")
def command(
    device: str, workers: int | None, metrics_port: int, metrics_host: str, events: bool
) -> None:
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
        serve = app.Serve(metrics_host, metrics_port) if metrics_port else None
        app.run(configured, found[0].device, serve, events=events)
    else:
        form_given = configured.model_copy(update={"log_format": form})
        more = ["--metrics-host", metrics_host, *(["--events"] if events else [])]
        _run_several(form_given, found, more, metrics_port)


def _run_several(configured: Settings, found: list[Place], more: list[str], port: int) -> None:
    environment = settings.child_environment(configured)
    command = [sys.executable, "-P", "-m", "gistmill", "worker", "--workers", "1", "--device"]
    workers = [
        processes.Child(
            name=place.name,
            argv=[
                *(*command, place.device, *more),
                # Told even where it is off: a variable may name one port for all.
                *("--metrics-port", str(port + number if port else 0)),
            ],
            env={**environment, **place.variables(environment)},
        )
        for number, place in enumerate(found)
    ]
    form = logs.form_of(configured.log_format, sys.stderr)
    processes.run(workers, drain=configured.timings.drain, out=sys.stderr, form=form)

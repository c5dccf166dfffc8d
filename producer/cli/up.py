"""`gistmill up`: services, migration, dispatcher and workers under one command."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from jobs import devices, logs, processes, services, settings
from jobs.processes import Child
from jobs.settings import Settings
from producer.cli import output, serve

if TYPE_CHECKING:
    from jobs.services import Endpoints

# How long the embedded services may take to write down what they hold.
_SERVICES_STOP = 30.0
_SERVICES_BACK = "the embedded services had died; they are started again"


@click.command(
    epilog="""\b
Examples:
  gistmill up
  gistmill up --workers 2
  gistmill up --port 8080
  gistmill up --metrics-port 9101
"""
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    metavar="N",
    help=f"Workers on this machine. {devices.DEFAULT_WORKERS}",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to serve HTTP.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    metavar="N",
    help="Where to serve HTTP; 0 takes a free one.",
)
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default=True,
    metavar="N",
    help="Each worker serves Prometheus' /metrics on this machine, from this port on. 0 is off.",
)
def command(workers: int | None, host: str, port: int, metrics_port: int) -> int:
    """Run the mill until Ctrl-C; restart what dies; leave no process behind."""
    given = settings.load()
    # Children write to pipes: whether a person reads is known here.
    form = logs.form_of(given.log_format, sys.stdout)
    configured = given.model_copy(update={"log_format": form})
    endpoints = services.connect(configured)
    try:
        _look_around(endpoints, configured)
        address = _address(endpoints, host, port)
        where = f" at {address.url}" if address else ""
        output.hint(f"gistmill is up{where}; submit work from another terminal; Ctrl-C stops it")
        serving = [_serving(configured, address)] if address else []
        processes.run(
            [*_children(configured, workers, metrics_port), *serving],
            drain=configured.timings.drain,
            out=sys.stdout,
            form=form,
            tend=lambda: _SERVICES_BACK if endpoints.keep_up() else None,
        )
    finally:
        endpoints.release()
        if endpoints.embedded:
            services.wait_stopped(configured.home, _SERVICES_STOP)
    return 0


def _look_around(endpoints: Endpoints, configured: Settings) -> None:
    """Migrate what is ours to migrate, and say who works here already."""
    from jobs.database import Database
    from jobs.errors import DatabaseUnreachable
    from jobs.store import workers

    database = Database(endpoints.database_url)
    try:
        if endpoints.embedded_database:
            database.migrate()
        with database.transaction() as tx:
            alive = workers.alive(tx, "worker", configured.timings.alive)
        if alive:
            output.hint(f"{alive} worker(s) of this mill are alive already; these are added")
    except DatabaseUnreachable as error:
        # Dispatcher and workers wait for it, and so do we.
        output.hint(f"warning: {error}")
    finally:
        database.close()


@dataclass(frozen=True, slots=True)
class _Address:
    host: str
    port: int
    url: str


def _address(endpoints: Endpoints, host: str, port: int) -> _Address | None:
    """Where HTTP will be served; None, and a warning, where it can not be: the mill works without.

    A free port is chosen here, so that it stays the same when the server is started again.
    """
    if name := serve.missing():
        output.hint(f"warning: no HTTP, as {name} is missing; {serve.HOW_TO_GET_IT}")
        return None
    from producer.api import listening

    try:
        with listening.listen(host, port) as bound:
            found = _Address(host, bound.getsockname()[1], listening.url(host, bound))
            if listening.is_here(bound) or _has_tokens(endpoints):
                return found
    except OSError as error:
        output.hint(f"warning: no HTTP: {listening.refusal(error, host, port)}")
        return None
    output.hint(f"warning: no HTTP: {serve.tokens_first(host)}")
    return None


def _has_tokens(endpoints: Endpoints) -> bool:
    from jobs.database import Database
    from jobs.errors import DatabaseUnreachable
    from jobs.store import tokens

    database = Database(endpoints.database_url)
    try:
        with database.transaction() as tx:
            return tokens.any_live(tx)
    except DatabaseUnreachable:
        return True  # the server sees for itself once it is back
    finally:
        database.close()


def _serving(configured: Settings, address: _Address) -> Child:
    argv = [sys.executable, "-P", "-m", "gistmill", "serve"]
    argv += ["--host", address.host, "--port", str(address.port)]
    return Child("serve", argv, settings.child_environment(configured))


def _children(configured: Settings, workers: int | None, metrics_port: int = 0) -> Iterator[Child]:
    environment = settings.child_environment(configured)
    gistmill = [sys.executable, "-P", "-m", "gistmill"]
    yield Child("dispatch", [*gistmill, "dispatch"], environment)
    for number, place in enumerate(devices.places("auto", workers), start=1):
        port = metrics_port + number - 1 if metrics_port else 0
        argv = [*gistmill, "worker", "--workers", "1", "--device", place.device]
        # Told even where it is off: a variable may name one port for all.
        argv += ["--metrics-host", "127.0.0.1", "--metrics-port", str(port)]
        yield Child(f"worker-{number}", argv, {**environment, **place.variables(environment)})

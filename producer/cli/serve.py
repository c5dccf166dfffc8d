"""`gistmill serve`: the HTTP API and the page, in the foreground until it is stopped."""

import sys
from importlib.util import find_spec

import click

from jobs import logs
from jobs.errors import NotAllowed, NotFound, UsageError
from producer.cli import output

# What it brings: pyproject.toml.
_EXTRA = ("fastapi", "itsdangerous", "nicegui", "python_multipart", "uvicorn")
HOW_TO_GET_IT = "pip install 'gistmill[serve]'"


@click.command(
    epilog="""\b
Examples:
  gistmill serve
  gistmill serve --host 0.0.0.0
"""
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="0 takes a free one.",
)
def command(host: str, port: int) -> int:
    """Serve the HTTP API and the page until stopped."""
    if name := missing():
        raise UsageError(f"{name} is missing; {HOW_TO_GET_IT}")
    from jobs.store import tokens
    from producer.api import app, listening
    from producer.api.server import Server

    with output.client_here() as client:
        logs.configure(logs.form_of(client.settings.log_format, sys.stderr))
        log = logs.get("serve")
        try:
            bound = listening.listen(host, port)
        except OSError as error:
            raise NotFound(listening.refusal(error, host, port)) from error
        with bound:
            if not listening.is_here(bound):
                with client.database.transaction() as tx:
                    if not tokens.any_live(tx):
                        raise NotAllowed(tokens_first(host))
                log.warning(
                    "other machines may ask, and tokens travel in clear; put a proxy with TLS in "
                    "front, as docs/security.md says"
                )
            said = f"gistmill serves {listening.url(host, bound)}"
            Server(app.create(client, page=True), lambda: log.info(said)).run(sockets=[bound])
    return 0


def missing() -> str | None:
    """A package of the extra `serve` that is not installed, if any is not."""
    return next((name for name in _EXTRA if find_spec(name) is None), None)


def tokens_first(host: str) -> str:
    return (
        f"{host} is open to other machines, and there are no tokens yet; make one with: "
        "gistmill token create NAME"
    )

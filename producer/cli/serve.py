"""`gistmill serve`: the HTTP API and the page, in the foreground until it is stopped."""

import click

from jobs.errors import NotAllowed, NotFound, UsageError
from producer.cli import output


@click.command(
    epilog="""\b
Examples:
  gistmill serve
  gistmill serve --host 0.0.0.0 --port 80
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
    try:
        import uvicorn

        from producer.api import app
    except ModuleNotFoundError as error:
        raise UsageError(f"{error.name} is missing; pip install 'gistmill[serve]'") from error
    from jobs.store import tokens
    from producer.api.listening import is_here, listen

    with output.client() as client:
        with client.database.transaction() as tx:
            if not is_here(host) and not tokens.any_live(tx):
                raise NotAllowed(
                    f"{host} is open to other machines, and there are no tokens yet; make one "
                    "with: gistmill token create NAME"
                )
        try:
            listening = listen(host, port)
        except OSError as error:
            message = f"can not listen on {host}:{port}: {error.strerror}; choose another --port"
            raise NotFound(message) from error
        with listening:
            shown = f"[{host}]" if ":" in host else host
            output.hint(f"gistmill serves http://{shown}:{listening.getsockname()[1]}")
            made = app.create(client, page=True)
            config = uvicorn.Config(
                made, log_config=None, access_log=False, timeout_graceful_shutdown=5
            )
            uvicorn.Server(config).run(sockets=[listening])
    return 0

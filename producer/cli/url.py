"""`--url`: which mill a command asks, where that is not this machine's own."""

import click

_CHOSEN = "gistmill.url"


def _keep(context: click.Context, _: click.Parameter, value: str | None) -> None:
    context.meta[_CHOSEN] = value


option = click.option(
    "--url",
    expose_value=False,
    callback=_keep,
    help="Of a mill to ask over HTTP.",
)
"""Of the commands that can. The token that goes with it is GISTMILL_TOKEN: on a command line
others could read it."""


def chosen() -> str | None:
    """By the command that runs."""
    context = click.get_current_context(silent=True)
    found: str | None = context.meta.get(_CHOSEN) if context else None
    return found

"""`--url`: which mill a command asks, where that is not this machine's own."""

import click
from click.core import ParameterSource

from jobs.errors import UsageError

_CHOSEN = "gistmill.url"


def keep(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    """Its default in a file does not come over one that was given before the command."""
    source = context.get_parameter_source(parameter.name or "")
    if source == ParameterSource.COMMANDLINE or chosen() is None:
        context.meta[_CHOSEN] = value


option = click.option(
    "--url",
    expose_value=False,
    callback=keep,
    help="Of a mill to ask over HTTP.",
)
"""Of the commands that can; it may stand before them, too. The token that goes with it is
GISTMILL_TOKEN: on a command line others could read it."""


def chosen() -> str | None:
    """By the command that runs, or before it."""
    context = click.get_current_context(silent=True)
    found: str | None = context.meta.get(_CHOSEN) if context else None
    return found


def check(command: click.Command, name: str) -> None:
    """Raises UsageError where a URL was given before a command that can not use it."""
    if chosen() and not any("--url" in each.opts for each in command.params):
        raise UsageError(f"{name}: asks no mill over HTTP; leave --url out")

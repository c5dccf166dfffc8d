"""What a command's flags are where they are not given: from environment and gistmill.toml.

A value is taken as if it had been typed behind its flag, and checked before the
command runs, so that a complaint names the file or the variable.
"""

from dataclasses import dataclass
from typing import Any

import click

from jobs import settings
from jobs.errors import UsageError
from jobs.settings import Given


@dataclass(frozen=True, slots=True)
class Default:
    """What a flag is where it is not given, and who says so."""

    flag: str
    parameter: str
    value: Any
    place: str


def of(name: str, command: click.Command) -> list[Default]:
    """Raises UsageError for a flag that the command does not have, or does not take so."""
    options = _flags(command)
    return [
        Default(flag, str(options[flag].name), _value(command, options[flag], given), given.place)
        for flag, given in settings.flags(name, options).items()
    ]


def _flags(command: click.Command) -> dict[str, click.Option]:
    return {
        name.removeprefix("--"): option
        for option in command.params
        if isinstance(option, click.Option)
        for name in option.opts
        if name.startswith("--")
    }


def _value(command: click.Command, option: click.Option, given: Given) -> Any:
    try:
        return option.type_cast_value(click.Context(command), _typed(option, given.value))
    except click.BadParameter as error:
        raise UsageError(f"{given.place}: {max(option.opts, key=len)}: {error.message}") from None


def _typed(option: click.Option, value: Any) -> str | list[str]:
    if isinstance(value, list) and option.multiple:
        return [str(word) for word in value]
    if isinstance(value, (list, dict)):
        raise click.BadParameter("write one value" if not option.multiple else "write a list")
    return list(option.type.split_envvar_value(str(value))) if option.multiple else str(value)

"""`gistmill config`: every setting, its value, and who says so. Starts nothing.

It is also the check of a whole gistmill.toml: other commands look at their own table.
"""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import click

from jobs import exposure, settings
from jobs.settings import Settings, Timings
from producer.cli import defaults, output

_UNSET = {
    "database_url": "embedded",
    "broker_url": "embedded",
    "allowed_sources": "anywhere",
    "uploads": "below the home",
}
# From the user's name to the last @, as a password may hold one itself.
_PASSWORD = re.compile(r"(://[^:@/?#]*:).*@|([?&][^=&]*password=)[^&]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Shown:
    """A setting as it is printed."""

    name: str
    value: Any
    origin: str


@click.command(
    epilog="""\b
Examples:
  gistmill config
  gistmill config --all --json
  GISTMILL_CONFIG=night.toml gistmill config
"""
)
@click.option("--all", "everything", is_flag=True, help="Show the timings that are defaults, too.")
@click.option("--json", "as_json", is_flag=True, help="Print the settings as JSON.")
@click.pass_context
def command(context: click.Context, everything: bool, as_json: bool) -> int:
    """Show each setting, its value and where it comes from."""
    configured = settings.load()
    for each in exposure.found(configured):
        output.hint(f"warning: {each}")
    shown = [*_settings(configured), *_timings(configured.timings, everything), *_flags(context)]
    if as_json:
        output.show_json([asdict(each) for each in shown])
    else:
        _table(shown)
    return 0


def _settings(configured: Settings) -> Iterator[Shown]:
    yield Shown("home", str(configured.home), settings.origin("home"))
    for name in ("database_url", "broker_url"):
        url = getattr(configured, name)
        yield Shown(name, without_password(url) if url else None, settings.origin(name))
    for name in ("log_format", "allow_insecure", "allowed_sources", "uploads", "max_upload_bytes"):
        yield Shown(name, _plain(getattr(configured, name)), settings.origin(name))


def _timings(timings: Timings, everything: bool) -> Iterator[Shown]:
    for name, value in timings:
        origin = settings.origin("timings", name)
        if everything or origin != "default":
            yield Shown(f"timings.{name}", value, origin)


def _flags(context: click.Context) -> Iterator[Shown]:
    root = context.find_root()
    for name in settings.commands(root.obj):
        found: click.Command | None = root.command
        for word in name.split():
            found = cast("click.Group", found).get_command(context, word)
        for default in defaults.of(name, found) if found else ():
            flag = f"{name.replace(' ', '.')}.{default.flag}"
            yield Shown(flag, _plain(default.value), default.place)


def _plain(value: Any) -> Any:
    """As JSON has it, and without a password."""
    if isinstance(value, (tuple, list)):
        return [_plain(part) for part in value]
    if isinstance(value, Path):
        return str(value)
    return without_password(value) if isinstance(value, str) else value


def without_password(text: str) -> str:
    """`text`, with *** for the passwords of a URL."""
    return _PASSWORD.sub(lambda found: f"{found[1]}***@" if found[1] else f"{found[2]}***", text)


def _table(shown: list[Shown]) -> None:
    rows = [(each.name, _words(each), each.origin) for each in shown]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for name, value, origin in rows:
        click.echo(f"{name.ljust(widths[0])}  {value.ljust(widths[1])}  {origin}")


def _words(each: Shown) -> str:
    if each.value is None:
        return _UNSET.get(each.name, "")
    return " ".join(each.value) or "none" if isinstance(each.value, list) else str(each.value)

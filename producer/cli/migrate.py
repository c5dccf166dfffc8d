"""`gistmill migrate`: the database's tables, up, down, or only looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jobs import services, settings
from jobs.errors import UsageError
from producer.cli import output

if TYPE_CHECKING:
    from jobs.database import Database


@click.command(
    epilog="""\b
Examples:
  gistmill migrate              up to this version of gistmill
  gistmill migrate --down base  remove every table, and all that is in them
  gistmill migrate --check      do the tables agree with the code?
"""
)
@click.option("--to", "up", metavar="REVISION", help="Up to this one. [default: the newest]")
@click.option("--down", metavar="REVISION", help="Down to this one; base is before the first.")
@click.option("--check", is_flag=True, help="Change nothing; exit 1 where tables and code differ.")
def command(up: str | None, down: str | None, check: bool) -> int:
    """Bring the database's tables up to date."""
    from jobs.database import Database

    if sum(bool(option) for option in (up, down, check)) > 1:
        raise UsageError("migrate: --to, --down and --check exclude each other")
    endpoints = services.connect(settings.load())
    database = Database(endpoints.database_url)
    try:
        if check:
            return _check(database, embedded=endpoints.embedded_database)
        if down:
            database.migrate_down(down)
        else:
            database.migrate(up or "head")
        output.hint(f"the database is at {database.revision() or 'base'}")
    finally:
        database.close()
        endpoints.release()
    return 0


def _check(database: Database, *, embedded: bool) -> int:
    if embedded:
        database.migrate()
    differences = database.difference()
    for difference in differences:
        output.hint(f"migrations and tables differ: {difference}")
    return 1 if differences else 0

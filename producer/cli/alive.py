"""`gistmill alive`: whether a worker or dispatcher of this host lives, for health checks.

It reads the row that the process renews in SQL, so it also says whether the process
reaches the database. In a container, whose host name is its own, that is one process.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import click

from jobs import settings

if TYPE_CHECKING:
    from jobs.settings import Settings
    from jobs.store.workers import Role


@click.command(
    epilog="""\b
Examples:
  gistmill alive worker
  gistmill alive dispatcher
"""
)
@click.argument("role", type=click.Choice(["worker", "dispatcher"]))
def command(role: Role) -> int:
    """Exit 0 where a worker, or a dispatcher, of this host was seen of late, else 1."""
    configured = settings.load()
    host = socket.gethostname()
    if _count(configured, role, host):
        return 0
    within = configured.timings.alive
    click.echo(f"no {role} on {host} was seen in the last {within:g} s; see its log", err=True)
    return 1


def _count(configured: Settings, role: Role, host: str) -> int:
    from jobs import services
    from jobs.database import Database
    from jobs.store import workers

    endpoints = services.connect(configured)
    database = Database(endpoints.database_url, connections=1)
    try:
        with database.transaction() as tx:
            return workers.alive(tx, role, configured.timings.alive, host)
    finally:
        database.close()
        endpoints.release()

"""`gistmill token create`, `ls`, `revoke`: who may ask over HTTP."""

from datetime import UTC

import click

from jobs.callers import SCOPES
from producer.cli import output


@click.command(
    epilog="""\b
Examples:
  gistmill token create nightly
  gistmill token create dashboard --scope read
"""
)
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    default=("read", "submit"),
    show_default=True,
    help="What it may do; admin sees everybody's jobs. Repeatable.",
)
def create(name: str, scopes: tuple[str, ...]) -> int:
    """Make a token and print it, this once: SQL keeps only its digest."""
    from jobs.store import tokens

    with output.client_here() as client, client.database.transaction() as tx:
        click.echo(tokens.create(tx, name, [scope for scope in SCOPES if scope in scopes]))
    output.hint(f"{name}: {', '.join(scopes)}; it is not shown again")
    return 0


@click.command(
    epilog="""\b
Examples:
  gistmill token ls
"""
)
def ls() -> int:
    """All tokens, the oldest first, without what makes them secret."""
    from jobs.store import tokens

    with output.client_here() as client, client.database.transaction() as tx:
        found = tokens.listed(tx)
    for each in found:
        made = each.created_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
        gone = ", revoked" if each.revoked_at else ""
        click.echo(f"{each.id}  {made} UTC  {','.join(each.scopes)}{gone}  {each.name}")
    if not found:
        output.hint("no token yet; make one with: gistmill token create NAME")
    return 0


@click.command(
    epilog="""\b
Examples:
  gistmill token revoke nightly
"""
)
@click.argument("token")
def revoke(token: str) -> int:
    """Refuse TOKEN (its name or id) from now on; its jobs go on."""
    from jobs.store import tokens

    with output.client_here() as client, client.database.transaction() as tx:
        for each in tokens.revoke(tx, token):
            click.echo(f"revoked {each}")
    return 0

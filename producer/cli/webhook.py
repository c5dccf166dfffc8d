"""`gistmill webhook secret`: what receivers check the signatures of webhooks with."""

import click

from producer.cli import output, url


@click.command(
    epilog="""\b
Examples:
  gistmill webhook secret
  gistmill webhook secret --new
"""
)
@url.option
@click.option("--new", is_flag=True, help="Make another, for all users; the old one is void.")
def secret(new: bool) -> int:
    """Print the secret that webhooks of your jobs are signed with."""
    from jobs.store import secrets
    from producer.webhooks import signing

    with output.client() as client:
        if new:
            with client.database.transaction() as tx:
                secrets.renew(tx, signing.SECRET)
        click.echo(client.webhook_secret())
    return 0

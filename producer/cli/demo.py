"""`gistmill demo`: its flags; what it does is `producer.demo`, imported when it runs."""

import click


@click.command(
    epilog="""\b
Examples:
  gistmill demo --limit 4
"""
)
@click.option("--limit", type=click.IntRange(1), default=32, show_default=True)
def command(limit: int) -> int:
    """Summarize what the packages installed here say of themselves, with a small model."""
    from producer import demo

    return demo.run(limit)

"""`gistmill completion`: the script by which a shell completes commands and flags."""

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete

_SHELLS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command(
    epilog="""\b
Examples:
  eval "$(gistmill completion bash)"      in ~/.bashrc
  eval "$(gistmill completion zsh)"       in ~/.zshrc
  gistmill completion fish > ~/.config/fish/completions/gistmill.fish
"""
)
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.pass_context
def command(context: click.Context, shell: str) -> int:
    """Print the completion script for SHELL."""
    group = context.find_root().command
    click.echo(_SHELLS[shell](group, {}, "gistmill", "_GISTMILL_COMPLETE").source(), nl=False)
    return 0

"""Writes the reference of commands from the code: `docs/commands.md`, and the table in README.md.

    make docs

`tests/acceptance/test_reference.py` sees that both are up to date, and runs every example.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import click

import gistmill

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
COMMANDS = ROOT / "docs" / "commands.md"

_TABLE = re.compile(r"(<!-- commands: made by `make docs` -->\n).*?(<!-- end -->)", re.DOTALL)
_WIDTH = 88


def commands() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(gistmill._cli, info_name="gistmill")
    for name in gistmill._names():
        command: click.Command | None = gistmill._cli
        for word in name.split():
            command = cast("click.Group", command).get_command(context, word)
        if command is not None:
            yield name, command


def examples(command: click.Command) -> list[str]:
    """The command lines under `Examples:`, without what they say of themselves."""
    lines = (command.epilog or "").splitlines()
    return [re.split(r"\s{2,}", line.strip())[0] for line in lines if line.startswith("  ")]


def page() -> str:
    """`docs/commands.md`."""
    parts = ["# Commands\n\nMade from the code by `make docs`; each example is run by a test.\n"]
    for name, command in commands():
        context = click.Context(
            command,
            info_name=f"gistmill {name}",
            max_content_width=_WIDTH,
            terminal_width=_WIDTH,
            help_option_names=["-h", "--help"],
        )
        parts.append(f"\n## gistmill {name}\n\n```text\n{command.get_help(context)}\n```\n")
    return "".join(parts)


def readme(text: str) -> str:
    """`text` with its table of commands as it should be."""
    rows = [
        f"| [`{name}`](docs/commands.md#{_anchor(name)}) | {_first_sentence(command)} |"
        for name, command in commands()
    ]
    table = "\n".join(["| `gistmill` | |", "|---|---|", *rows])
    return _TABLE.sub(lambda found: f"{found[1]}{table}\n{found[2]}", text)


def _anchor(name: str) -> str:
    return f"gistmill-{name.replace(' ', '-')}"


def _first_sentence(command: click.Command) -> str:
    text = " ".join((command.help or "").split("\n\n")[0].split())
    return text.split(". ")[0].rstrip(".")


if __name__ == "__main__":
    COMMANDS.write_text(page())
    README.write_text(readme(README.read_text()))

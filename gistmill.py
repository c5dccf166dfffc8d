"""gistmill: summarize large piles of text as a batch.

The top layer, and the only one that sees both sides. `main` maps commands to
`module:function` and imports a command when it is used; the Python API is
exported the same way, so that `import gistmill` and `gistmill --help` stay light.
"""

import errno
import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.exceptions import NoArgsIsHelpError
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from producer.client import Client, diff, submit
    from producer.job import Job

__all__ = ["Client", "Job", "diff", "main", "submit"]

_EXPORTS = {
    **dict.fromkeys(("Client", "diff", "submit"), "producer.client"),
    **dict.fromkeys(("Job", "NobodyWorks"), "producer.job"),
}

# By section: name, where it is (of a group, see below), and what --help says of it in 26
# characters.
_SECTIONS = {
    "Work": {
        "submit": ("producer.cli.submit:command", "submit documents"),
        "status": ("producer.cli.jobs:status", "a job as it stands"),
        "ls": ("producer.cli.jobs:ls", "the newest jobs"),
        "wait": ("producer.cli.jobs:wait", "wait for a job's end"),
        "watch": ("producer.cli.watch:command", "follow a job live"),
        "results": ("producer.cli.results:command", "print or save summaries"),
        "failures": ("producer.cli.failures:command", "why documents failed"),
        "evaluate": ("producer.cli.evaluate:command", "scores, beside lead-3"),
        "diff": ("producer.cli.diff:command", "two jobs side by side"),
        "text": ("worker.text:command", "summarize one text here"),
        "models": ("", "search, show, related"),
        "datasets": ("", "search, show"),
    },
    "Jobs": {
        "cancel": ("producer.cli.control:cancel", "stop a job for good"),
        "pause": ("producer.cli.control:pause", "stop a job for now"),
        "resume": ("producer.cli.control:resume", "go on with a job"),
        "retry": ("producer.cli.control:retry", "do what failed again"),
        "priority": ("producer.cli.control:priority", "let a job go first"),
        "purge": ("producer.cli.control:purge", "delete old jobs"),
    },
    "Mill": {
        "up": ("producer.cli.up:command", "run the whole mill"),
        "worker": ("worker.cli:command", "run a worker on each GPU"),
        "dispatch": ("producer.cli.dispatch:command", "run a dispatcher"),
        "serve": ("producer.cli.serve:command", "the HTTP API and the page"),
        "token": ("", "create, ls, revoke"),
        "webhook": ("", "secret"),
        "migrate": ("producer.cli.migrate:command", "the database's tables"),
        "doctor": ("producer.cli.doctor:command", "what is wrong, what to do"),
        "alive": ("producer.cli.alive:command", "a container's health check"),
        "config": ("producer.cli.config:command", "settings, and who set them"),
        "completion": ("producer.cli.completion:command", "for bash, zsh or fish"),
        "demo": ("producer.cli.demo:command", "real documents, in minutes"),
    },
}
_COMMANDS = {name: entry for section in _SECTIONS.values() for name, entry in section.items()}

# Commands of two words: the first one's help, and what the second may be, as above.
_GROUPS = {
    "models": (
        "Find a model to summarize with.",
        {
            "search": ("producer.cli.models:search", "models on the hub"),
            "show": ("worker.show:command", "one model, and what it takes to run it"),
            "related": ("producer.cli.models:related", "what was made of a model, and its base"),
        },
    ),
    "token": (
        "Who may ask over HTTP.",
        {
            "create": ("producer.cli.token:create", "make one, and print it once"),
            "ls": ("producer.cli.token:ls", "all of them, without their secrets"),
            "revoke": ("producer.cli.token:revoke", "let one be refused from now on"),
        },
    ),
    "webhook": (
        "Who is told of jobs that are over.",
        {
            "secret": ("producer.cli.webhook:secret", "what signatures are checked with"),
        },
    ),
    "datasets": (
        "Find a dataset to summarize.",
        {
            "search": ("producer.cli.datasets:search", "datasets on the hub"),
            "show": ("producer.cli.datasets:show", "one dataset: splits, rows, columns"),
        },
    ),
}

# How a disk says that it is full.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_ROOM = 5
_INTERRUPTED = 130
_DEFECT = 70


def _check_neighbours() -> None:
    """A user's own `jobs/` or `worker/` on the path would be taken for ours."""
    here = Path(__file__).resolve().parent
    for name in ("jobs", "producer", "worker", "migrations"):
        spec = find_spec(name)
        found = spec and (spec.origin or next(iter(spec.submodule_search_locations or ()), None))
        # One that is missing says so when it is imported.
        if found and here not in Path(found).resolve().parents:
            raise ImportError(
                f"gistmill needs its own package {name!r} but finds {found}; "
                "run it from another folder, or rename that one"
            )


_check_neighbours()


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'gistmill' has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)


class _Lazy(click.Group):
    """Imports a command when it is used; the list of all needs none of them.

    `entries`: where each command is, and its help in a few words. `path`: this group's name,
    with a space behind it; "" for gistmill itself.
    """

    def __init__(
        self, *args: Any, entries: Mapping[str, tuple[str, str]], path: str = "", **given: Any
    ) -> None:
        super().__init__(*args, **given)
        self._entries = entries
        self._path = path

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(self._entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in self._entries:
            return None
        if not self._path and cmd_name in _GROUPS:
            return _group(cmd_name)
        module, _, function = self._entries[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), function)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self._entries and not ctx.resilient_parsing:
            raise click.NoSuchCommand(args[0], possibilities=self._entries, ctx=ctx)
        name, command, rest = super().resolve_command(ctx, args)
        # Completion and help are there whatever is wrong with gistmill.toml.
        helping = ctx.resilient_parsing or {*rest} & {*ctx.help_option_names}
        if name and command and not helping and not isinstance(command, click.Group):
            _check_url(command, f"{self._path}{name}")
            ctx.default_map = {name: _defaults(f"{self._path}{name}", command)}
        return name, command, rest

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """By the list alone: click would import each command for its help."""
        commands = [
            CompletionItem(name, help=short)
            for name, (_, short) in self._entries.items()
            if name.startswith(incomplete)
        ]
        return commands + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """By the list alone, too."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, short) for name, (_, short) in self._entries.items()])


class _Commands(_Lazy):
    """gistmill itself."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Whoever read our output has had enough, which click would make an error of.
            # Python's own flush at exit must not find out again.
            sys.stdout = None  # type: ignore[assignment]
            return 0

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The commands in two columns, so that all of them and the examples fit a screen."""
        formatter.write_paragraph()
        for heading, commands in _SECTIONS.items():
            formatter.write(f"{heading}:\n")
            entries = [f"  {name:<10} {short:<27}" for name, (_, short) in commands.items()]
            half = (len(entries) + 1) // 2
            for left, right in zip_longest(entries[:half], entries[half:], fillvalue=""):
                formatter.write(f"{left}{right}".rstrip() + "\n")


def _group(name: str) -> click.Group:
    text, entries = _GROUPS[name]
    return _Lazy(name, entries=entries, path=f"{name} ", help=text, no_args_is_help=True)


def _names() -> list[str]:
    """Every command that does something, those of two words with a space between."""
    groups = {name: entries for name, (_, entries) in _GROUPS.items()}
    return [
        f"{name} {second}".rstrip() for name in _COMMANDS for second in groups.get(name, {"": None})
    ]


def _keep_url(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        from producer.cli import url

        url.keep(context, parameter, value)


def _check_url(command: click.Command, name: str) -> None:
    from producer.cli import url

    url.check(command, name)


def _defaults(name: str, command: click.Command) -> dict[str, Any]:
    from jobs import settings
    from producer.cli import defaults

    settings.commands(_names())  # a table that is named for none is an error
    return {default.parameter: default.value for default in defaults.of(name, command)}


_EPILOG = """\b
gistmill up, and elsewhere: gistmill submit papers.jsonl --model lead-3
"""


@click.group(
    cls=_Commands,
    entries=_COMMANDS,
    epilog=_EPILOG,
    options_metavar="[--version] [--help] [--url URL]",
    context_settings={"help_option_names": ["-h", "--help"], "obj": _names()},
)
@click.version_option(package_name="gistmill")
@click.option("--url", expose_value=False, callback=_keep_url, help="Of a mill to ask over HTTP.")
def _cli() -> None:
    """Summarize large piles of text: documents in, rows in SQL out."""


def main() -> None:
    """The command line. Exit codes: see docs/design.md."""
    from jobs.errors import GistmillError

    try:
        sys.exit(_cli(prog_name="gistmill", standalone_mode=False) or 0)
    except GistmillError as error:
        _complain(str(error))
        sys.exit(error.exit_code)
    except NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        _complain(_in_one_line(error))
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(_INTERRUPTED)
    except Exception as error:  # the last line of defence: a defect of ours, shown whole
        if isinstance(error, OSError) and error.errno in _FULL:
            _complain_of_a_full_disk(error)
            sys.exit(_NO_ROOM)
        import traceback

        traceback.print_exc()
        _complain("this is a defect of gistmill's; please report it with the lines above")
        sys.exit(_DEFECT)


def _in_one_line(error: click.ClickException) -> str:
    """What click says in four, with the command whose help tells more."""
    message = " ".join(error.format_message().split())
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"{message} (see {context.command_path} --help)" if context else message


def _complain_of_a_full_disk(error: OSError) -> None:
    """Not `results`, which knows better what it was writing."""
    # Python's own flush at exit must not find out again.
    sys.stdout = None  # type: ignore[assignment]
    where = "where standard output goes, and where GISTMILL_HOME lies"
    _complain(f"{error.strerror}; not all was written; make room {where}")


def _complain(message: str) -> None:
    click.echo(f"gistmill: {message}", err=True)


if __name__ == "__main__":
    main()

"""gistmill: summarize large piles of text as a batch.

The top layer, and the only one that sees both sides. `main` maps commands to
`module:function` and imports a command when it is used; the Python API is
exported the same way, so that `import gistmill` and `gistmill --help` stay light.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from producer.client import Client, Job, submit

__all__ = ["Client", "Job", "main", "submit"]

_EXPORTS = dict.fromkeys(("Client", "Job", "NobodyWorks", "submit"), "producer.client")

_COMMANDS = {
    "submit": ("producer.cli.submit:command", "Submit documents to be summarized."),
    "status": ("producer.cli.jobs:status", "Show a job as it stands."),
    "ls": ("producer.cli.jobs:ls", "List the newest jobs."),
    "wait": ("producer.cli.jobs:wait", "Wait until a job is over."),
    "watch": ("producer.cli.watch:command", "Follow a job's progress live."),
    "results": ("producer.cli.results:command", "Print a job's summaries, or save them."),
    "text": ("worker.text:command", "Summarize one text, here and now."),
    "failures": ("producer.cli.failures:command", "Show why documents failed, by reason."),
    "cancel": ("producer.cli.control:cancel", "Stop a job for good; what is done is kept."),
    "pause": ("producer.cli.control:pause", "Stop a job for now."),
    "resume": ("producer.cli.control:resume", "Go on with a job."),
    "retry": ("producer.cli.control:retry", "Do again what failed, and what was cut off."),
    "priority": ("producer.cli.control:priority", "Let a job go before others, or after."),
    "purge": ("producer.cli.control:purge", "Delete jobs that have long been over."),
    "doctor": ("producer.cli.doctor:command", "Is everything there that a job needs?"),
    "up": ("producer.cli.up:command", "Run the whole mill under one command."),
    "worker": ("worker.cli:command", "Run a worker for each GPU, or one on the CPU."),
    "dispatch": ("producer.cli.dispatch:command", "Run a dispatcher."),
    "migrate": ("producer.cli.migrate:command", "Bring the database's tables up to date."),
    "alive": ("producer.cli.alive:command", "Say whether this host's worker or dispatcher lives."),
    "demo": ("producer.demo:command", "Summarize real documents here, in minutes."),
}

_INTERRUPTED = 130
_DEFECT = 70


def _check_neighbours() -> None:
    """A user's own `jobs/` or `producer/` on the path would be taken for ours."""
    here = Path(__file__).resolve().parent
    for name in ("jobs", "producer"):
        spec = find_spec(name)
        found = spec and (spec.origin or next(iter(spec.submodule_search_locations or ()), None))
        if not found or here not in Path(found).resolve().parents:
            raise ImportError(
                f"gistmill needs its own package {name!r} but finds {found or 'none'}; "
                "run it from another folder, or rename that one"
            )


_check_neighbours()


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'gistmill' has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)


class _Commands(click.Group):
    """Imports a command when it is used; the list of all needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module, _, function = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), function)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Whoever read our output has had enough, which click would make an error of.
            # Python's own flush at exit must not find out again.
            sys.stdout = None  # type: ignore[assignment]
            return 0

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, short) for name, (_, short) in _COMMANDS.items()])


_EPILOG = """\b
Examples:
  gistmill up                                   run the mill in one terminal
  gistmill submit papers.jsonl --model lead-3   and give it work in another
  gistmill results JOB -o summaries.jsonl
"""


@click.group(
    cls=_Commands, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="gistmill")
def _cli() -> None:
    """Summarize large piles of text: documents in, rows in SQL out."""


def main() -> None:
    """The command line. Exit codes: see docs/design.md."""
    from jobs.errors import GistmillError

    try:
        sys.exit(_cli(standalone_mode=False) or 0)
    except GistmillError as error:
        _complain(str(error))
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(_INTERRUPTED)
    except Exception:  # the last line of defence: a defect of ours, shown whole
        import traceback

        traceback.print_exc()
        _complain("this is a defect of gistmill's; please report it with the lines above")
        sys.exit(_DEFECT)


def _complain(message: str) -> None:
    click.echo(f"gistmill: {message}", err=True)


if __name__ == "__main__":
    main()

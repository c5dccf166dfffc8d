"""How `evaluate` and `diff` speak: progress, figures, bars and samples that fit 80 columns."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from producer.cli import output

if TYPE_CHECKING:
    from producer.evaluation.bootstrap import Difference, Score
    from producer.evaluation.spread import Bin, Quartiles

METRICS = {
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
    "rougeLsum": "ROUGE-Lsum",
}
_WIDTH = 80
_BAR = 40
_TEXT = 300
_FEW = 20


@contextmanager
def progress(total: int) -> Iterator[Callable[[int], None]]:
    """A bar on standard error, where that is a terminal; it is gone at the end."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(bar_width=None), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        bar = shown.add_task("", total=total)
        yield lambda done: shown.update(bar, completed=done)


def interval(found: Score | Difference, sign: str = "") -> str:
    return f"{found.low:{sign}.2f} to {found.high:{sign}.2f}"


def quartiles(found: Quartiles, digits: int = 0) -> str:
    return (
        f"median {found.median:,.{digits}f} "
        f"(quartiles {found.low:,.{digits}f} and {found.high:,.{digits}f})"
    )


def share(count: int, of: int) -> str:
    return f"{count:,} ({100 * count / of:.1f} %)"


def bars(found: Sequence[Bin]) -> None:
    most = max(each.documents for each in found)
    for each in found:
        last = each.stop - 1
        words = f"{each.start:,}" if each.start == last else f"{each.start:,}-{last:,}"
        bar = "█" * round(_BAR * each.documents / most)
        click.echo(f"  {words:>15} {each.documents:>9,} {bar}".rstrip())


def name(index: int, identifier: str | None) -> str:
    return f"{index}" if identifier is None else f"{index} [{identifier}]"


def text(label: str, content: str) -> None:
    """Some lines of a text, behind what it is."""
    shown = " ".join(content.split()) or "(empty)"
    cut = shown if len(shown) <= _TEXT else f"{shown[:_TEXT]} ..."
    margin = " " * (len(label) + 2)
    click.echo(textwrap.fill(cut, _WIDTH, initial_indent=f"{label}  ", subsequent_indent=margin))


def tell_if_few(documents: int) -> None:
    """Where an interval is made from so few that it is too narrow."""
    if documents < _FEW:
        few = output.counted(documents, "document")
        output.hint(f"{few}: too few for the intervals and p to say much of others")


def tell_what_is_not_over(*jobs: tuple[str, str]) -> None:
    """By id and status."""
    from jobs.states import JOB_OVER, JobStatus

    for job_id, status in jobs:
        if JobStatus(status) not in JOB_OVER:
            output.hint(f"{job_id} is {status}: this is of what is stored so far")

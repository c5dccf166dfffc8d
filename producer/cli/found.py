"""How models and datasets of the hub are shown: tables of 80 columns, numbers in three digits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

import click

from producer.cli import output
from producer.hub.models import SORTS

if TYPE_CHECKING:
    from jobs.hub_models import HubModel
    from producer.hub.datasets import HubDataset

    Found = TypeVar("Found", HubModel, HubDataset)

F = TypeVar("F", bound=Callable[..., Any])


def options(what: str) -> Callable[[F], F]:
    """Decorates a search with its last flags: in which order, how many, and how shown."""

    def decorate(command: F) -> F:
        for option in (
            click.option("--json", "as_json", is_flag=True, help=f"Print the {what} as JSON."),
            click.option("-q", "--quiet", is_flag=True, help="Print ids and nothing else."),
            click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True),
            click.option(
                "--sort",
                type=click.Choice(list(SORTS)),
                default="downloads",
                show_default=True,
                metavar="BY",
                help=f"{', '.join(SORTS)}.",
            ),
        ):
            command = option(command)
        return command

    return decorate


_UNITS = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K"))
_COUNT = re.compile(r"\d+(\.\d+)?[KMBT]?")


class Count(click.ParamType[str]):
    """A number as the hub writes it: 500000, 500K, 1.2B."""

    name = "count"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value).strip().upper()
        if not _COUNT.fullmatch(text):
            self.fail(f"{value!r} is not a number such as 500K, 60M or 1.2B", param, ctx)
        return text


def short(number: int | None) -> str:
    """406M, 1.24B; a dash for what is not known."""
    if number is None:
        return "-"
    for size, unit in _UNITS:
        # What would be rounded to 1,000 of one unit is 1 of the next.
        if number >= size * 0.9995:
            return f"{number / size:.3g}{unit}"
    return str(number)


def show(
    listed: Sequence[Found],
    in_a_table: Callable[[Sequence[Found]], None],
    *,
    quiet: bool,
    as_json: bool,
    nothing: str,
) -> None:
    """What a search found; `nothing` is the hint where that is nothing."""
    if as_json:
        output.show_json([asdict(each) for each in listed])
    elif quiet:
        ids(listed)
    elif listed:
        in_a_table(listed)
    else:
        output.hint(nothing)


def ids(listed: Iterable[HubModel | HubDataset]) -> None:
    for each in listed:
        click.echo(each.id)


def models(listed: Iterable[HubModel]) -> None:
    widths = {"MODEL": 90, "SIZE": 6, "LICENCE": 12, "DOWNLOADS": 9, "LIKES": 5, "ENGINE": 13}
    rows = [
        (
            each.id,
            short(each.parameters),
            each.license or "-",
            short(each.downloads),
            short(each.likes),
            each.engine or f"no: {each.reason}",
        )
        for each in listed
    ]
    table(widths, rows, right=("SIZE", "DOWNLOADS", "LIKES"))


def datasets(listed: Iterable[HubDataset]) -> None:
    widths = {"DATASET": 90, "ROWS": 12, "LANG": 8, "LICENCE": 12, "DOWNLOADS": 9, "LIKES": 5}
    rows = [
        (
            each.id,
            each.size or "-",
            ",".join(each.languages) or "-",
            each.license or "-",
            short(each.downloads),
            short(each.likes),
        )
        for each in listed
    ]
    table(widths, rows, right=("DOWNLOADS", "LIKES"))


def table(
    widths: Mapping[str, int], rows: Iterable[Sequence[str]], right: Sequence[str] = ()
) -> None:
    """`widths`: headings, and columns at most. The first column is folded, the others are cut."""
    from rich.console import Console
    from rich.table import Table

    shown = Table(box=None, pad_edge=False)
    for place, (heading, width) in enumerate(widths.items()):
        shown.add_column(
            heading,
            justify="right" if heading in right else "left",
            no_wrap=place > 0,
            overflow="ellipsis" if place else "fold",
            max_width=width,
        )
    for row in rows:
        shown.add_row(*row)
    Console(markup=False, emoji=False, highlight=False).print(shown)

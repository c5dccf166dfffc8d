"""Charts of plain HTML and CSS: light, as wide as there is room, readable in light and dark.

Each has a sentence for those who do not see it, and its numbers in the titles of its parts.
Pure: numbers and words in, HTML out; every word is escaped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from jobs.store.progress import Cell

# Less of a column is not seen.
_LEAST = 2.0
# A square says that some failed, and roughly how many.
_LEAST_FAILED = 18.0
# So many squares have room to be larger.
_FEW = 64


@dataclass(frozen=True, slots=True)
class Column:
    """One of a chart. `part` is the share of it, 0 to 1, that went wrong."""

    value: float
    title: str
    part: float = 0.0


def columns(found: Sequence[Column], said: str, ends: tuple[str, str], most: str) -> str:
    """Columns side by side; `ends` stand below the first and the last, `most` at the top."""
    greatest = max((each.value for each in found), default=0) or 1
    inside = "".join(_column(each, greatest) for each in found)
    return (
        f'<div class="chart" role="img" aria-label="{escape(said)}">'
        f'<div class="most">{escape(most)}</div><div class="columns">{inside}</div>'
        f'<div class="ends"><span>{escape(ends[0])}</span><span>{escape(ends[1])}</span></div>'
        "</div>"
    )


def _column(column: Column, greatest: float) -> str:
    height = max(_LEAST, 100 * column.value / greatest) if column.value else 0
    bad = max(_LEAST, 100 * column.part) if column.part and column.value else 0
    return (
        f'<i title="{escape(column.title)}"><b style="height:{height:.1f}%;--bad-share:{bad:.0f}%">'
        "</b></i>"
    )


def bars(found: Sequence[tuple[str, int]], said: str) -> str:
    """Bars below each other, each with its label and its number."""
    most = max((number for _, number in found), default=0) or 1
    rows = "".join(
        f"<tr><th scope=row>{escape(label)}</th>"
        f'<td class="numbers">{number:,}</td>'
        f"<td>{_bar(number, most)}</td></tr>"
        for label, number in found
    )
    return f'<table class="histogram"><caption>{escape(said)}</caption>{rows}</table>'


def _bar(number: int, most: int) -> str:
    return f'<b style="width:{100 * number / most:.1f}%"></b>' if number else ""


def table(names: Sequence[str], rows: Sequence[Sequence[str | int]]) -> str:
    head = "".join(f"<th scope=col>{escape(name)}</th>" for name in names)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f'<table class="plain-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _cell(value: str | int) -> str:
    if isinstance(value, str):
        return f"<td>{escape(value)}</td>"
    return f'<td class="numbers">{value:,}</td>'


def strip(cells: Sequence[Cell]) -> str:
    """A square for each, in order of the documents."""
    inside = "".join(_square(each) for each in cells)
    size = "few" if len(cells) <= _FEW else "many"
    return (
        f'<div class="strip {size}" role="img" aria-label="{escape(_said(cells))}">{inside}</div>'
    )


def _square(cell: Cell) -> str:
    failed = cell.failed / (cell.documents or 1)
    share = max(_LEAST_FAILED, 100 * failed) if failed else 0
    return (
        f'<i class="{_state(cell)}" title="{escape(_title(cell))}" '
        f'style="--bad-share:{share:.0f}%"></i>'
    )


def _state(cell: Cell) -> str:
    if cell.done == cell.shards:
        return "done"
    if cell.running:
        return "running"
    if cell.cancelled:
        return "cancelled"
    return "partly" if cell.done else "waiting"


def _title(cell: Cell) -> str:
    many = cell.shards > 1
    which = f"shards {cell.first:,} to {cell.last:,}" if many else f"shard {cell.first:,}"
    state = f"{cell.done:,} of {cell.shards:,} done" if many else _state(cell)
    failed = f", {cell.failed:,} failed" if cell.failed else ""
    return (
        f"{which}: {state}; documents {cell.start:,} to {max(cell.start, cell.stop - 1):,}, "
        f"{cell.completed:,} summaries{failed}"
    )


def _said(cells: Sequence[Cell]) -> str:
    total = sum(each.shards for each in cells)
    counts = {
        "done": sum(each.done for each in cells),
        "running": sum(each.running for each in cells),
        "cut off": sum(each.cancelled for each in cells),
    }
    said = ", ".join(f"{number:,} {name}" for name, number in counts.items() if number)
    return f"{total:,} shards: {said or 'all wait'}"

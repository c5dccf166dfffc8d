"""One report of a benchmark: Markdown on stdout, JSON in `benchmarks/results/NAME.json`.

Tables are printed as they are added, so that a long run shows what it has; `write` saves
the whole. Nothing is measured here.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine

Cell = str | int | float | None
RESULTS = Path(__file__).parent / "results"


class Report:
    """`command` is what was typed behind `python -m benchmarks NAME`."""

    def __init__(self, name: str, title: str, command: Sequence[str] = ()) -> None:
        self._name = name
        self._command = " ".join(["python -m benchmarks", name, *command])
        self._facts: dict[str, str] = machine.facts()
        self._tables: list[dict[str, Any]] = []
        self._notes: list[str] = []
        self._data: dict[str, Any] = {}
        self._say(f"## {title}\n\n`{self._command}`\n")
        self._say("; ".join(f"{name} {value}" for name, value in self._facts.items()) + ".\n")

    def fact(self, name: str, value: str) -> None:
        """One more thing about the machine, such as the version of a server."""
        self._facts[name] = value
        self._say(f"{name}: {value}.\n")

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Floats are printed with three significant digits, None as "-"."""
        self._tables.append({"title": title, "columns": list(columns), "rows": list(rows)})
        self._say(f"### {title}\n")
        self._say(_line(columns))
        self._say("|" + "---|" * len(columns))
        for row in rows:
            self._say(_line([_shown(cell) for cell in row]))
        self._say("")

    def note(self, line: str) -> None:
        """Prose under the last table."""
        self._notes.append(line)
        self._say(f"{line}\n")

    def data(self, name: str, value: Any) -> None:
        """Anything JSON takes; only the file has it."""
        self._data[name] = value

    def write(self) -> Path:
        """Save all of it, and return where."""
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{self._name}.json"
        whole: Mapping[str, Any] = {
            "command": self._command,
            "machine": self._facts,
            "tables": self._tables,
            "notes": self._notes,
            **self._data,
        }
        path.write_text(json.dumps(whole, indent=1) + "\n")
        return path

    def _say(self, line: str) -> None:
        print(line, flush=True)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _shown(cell: Cell) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:.0f}" if abs(cell) >= 100 else f"{cell:.3g}"
    return str(cell)

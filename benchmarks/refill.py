"""What it would save to fill the places of documents that are done with new ones, at most.

    python -m benchmarks refill [--quick] [--cases NAME ...] [--documents N] [--dtype D]

Runs the native engine on one thread under the worker's plan of batches, and times each step by
how many documents are left in it. If every place were filled again at once, a document's share
of each step would be as small as it was in the cheapest kind of step that was seen often. What
lies between that and the time that was taken bounds what filling again would save; it would
have to pay for it with passes of the encoder for few documents, and with products over
documents that stand at different steps. Batches larger than the plan's are not looked at.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, get_args

from torch import Tensor

from benchmarks.engines import cases
from benchmarks.engines.cases import Case, NotHere, Places
from benchmarks.engines.command import HOME
from benchmarks.engines.own import Own
from benchmarks.engines.sides import Dtype, Load
from benchmarks.report import Cell, Report
from worker import model_files
from worker.engines.native import NativeEngine, search

_CASES = ("bart-62m-drawn", "t5-small-drawn", "scitldr-bart-tiny")
_COLUMNS = ("case", "documents/s", "in steps", "steps", "documents in a step", "to save")
_DOCUMENTS, _FEW = 96, 16
_OFTEN = 3
"""Times that a number of documents was seen: one quick step is no proof."""

Seconds = dict[int, list[float]]
"""Of steps, by how many documents they had."""


class _Timed(NativeEngine):
    """Writes down how long each step took."""

    def __init__(self, seconds: Seconds, *parts: Any) -> None:
        super().__init__(*parts)
        self._seconds = seconds

    def _read(self, batch: Sequence[list[int]], beams: int, most: int) -> search.Decoder:
        return _Clock(super()._read(batch, beams, most), self._seconds)


class _Clock:
    """A decoder whose steps are timed, from the beginning of one to that of the next, with all
    that the search does between them. A batch's last step is left out."""

    def __init__(self, decoder: search.Decoder, seconds: Seconds) -> None:
        self._decoder, self._seconds = decoder, seconds
        self._documents, self._began = 0, 0.0
        self.logits, self.follow, self.keep = decoder.logits, decoder.follow, decoder.keep

    def step(self, tokens: Tensor) -> Tensor:
        now = time.perf_counter()
        if self._documents:
            self._seconds.setdefault(self._documents, []).append(now - self._began)
        self._documents, self._began = len(tokens), now
        return self._decoder.step(tokens)


def main(arguments: list[str]) -> None:
    given = _parser().parse_args(arguments)
    model_files.quiet()
    report = Report("refill", "Filling places again", arguments)
    places = Places(HOME.resolve(), given.shared.resolve())
    count = given.documents or (_FEW if given.quick else _DOCUMENTS)
    rows = []
    for kind in cases.KINDS:
        if kind.name not in given.cases:
            continue
        try:
            rows.append(_measured(kind.make(places, count), given.dtype, places.made))
        except NotHere as error:
            report.note(f"{kind.name}: skipped: {error}")
    report.table(f"native, {given.dtype}, one thread, {count} documents", _COLUMNS, rows)
    report.write()


def _measured(case: Case, dtype: Dtype, home: Path) -> list[Cell]:
    load = Load("native", dtype, case.model, str(home), 1, case.generation)
    seconds: Seconds = {}
    side = Own(load, lambda *parts: _Timed(seconds, *parts))
    side.tune(case.documents)
    side.run(case.documents[-2:])
    seconds.clear()
    began = time.perf_counter()
    side.run(case.documents)
    whole = time.perf_counter() - began
    in_steps = sum(map(sum, seconds.values()))
    documents = sum(count * len(each) for count, each in seconds.items())
    steps = sum(map(len, seconds.values()))
    return [
        case.name,
        len(case.documents) / whole,
        f"{in_steps / whole:.0%}",
        steps,
        documents / steps,
        f"{(in_steps - documents * _cheapest(seconds)) / whole:.0%}",
    ]


def _cheapest(seconds: Seconds) -> float:
    """Of a document's share of a step."""
    return min(
        median(each) / documents for documents, each in seconds.items() if len(each) >= _OFTEN
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks refill", description=__doc__)
    names = [kind.name for kind in cases.KINDS]
    parser.add_argument("--quick", action="store_true", help=f"{_FEW} documents of each case")
    parser.add_argument("--cases", nargs="+", choices=names, metavar="NAME", default=_CASES)
    parser.add_argument("--documents", type=int, metavar="N", help=f"default {_DOCUMENTS}")
    parser.add_argument("--dtype", choices=get_args(Dtype), default="float32")
    parser.add_argument("--shared", type=Path, default=cases.SHARED)
    return parser

"""Where the native engine's time goes: torch's own profile of one side, on one thread.

    python -m benchmarks profile [--quick] [--cases NAME ...] [--dtypes D ...] [--documents N]

Shares are of the time that the same documents take without the profiler; what no operator took
is Python, and the calls themselves.
"""

import argparse
import time
from pathlib import Path
from typing import get_args

from torch.profiler import ProfilerActivity, profile

from benchmarks.engines import cases
from benchmarks.engines.cases import Case, NotHere, Places
from benchmarks.engines.command import HOME
from benchmarks.engines.own import Own
from benchmarks.engines.sides import Dtype, Load
from benchmarks.report import Cell, Report
from worker import model_files

_CASES = ("bart-62m", "scitldr-bart-tiny")
_DOCUMENTS, _FEW = 32, 8
_ROWS = 8
"""Operators that are shown; the rest is summed up."""


def main(arguments: list[str]) -> None:
    given = _parser().parse_args(arguments)
    model_files.quiet()
    report = Report("profile", "Where the native engine's time goes", arguments)
    places = Places(HOME.resolve(), given.shared.resolve())
    count = given.documents or (_FEW if given.quick else _DOCUMENTS)
    for kind in cases.KINDS:
        if kind.name not in given.cases:
            continue
        try:
            case = kind.make(places, count)
        except NotHere as error:
            report.note(f"{kind.name}: skipped: {error}")
            continue
        for dtype in given.dtypes:
            _measure(case, dtype, places.made, report)
    report.write()


def _measure(case: Case, dtype: Dtype, home: Path, report: Report) -> None:
    side = Own(Load("native", dtype, case.model, str(home), 1, case.generation))
    side.tune(case.documents)
    side.run(case.documents[-2:])
    began = time.perf_counter()
    side.run(case.documents)
    whole = time.perf_counter() - began
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        side.run(case.documents)
    found = sorted(seen.key_averages(), key=lambda each: -each.self_cpu_time_total)
    rows: list[list[Cell]] = [
        [each.key, f"{each.self_cpu_time_total / 1e6 / whole:.1%}", each.count]
        for each in found[:_ROWS]
    ]
    rest = sum(each.self_cpu_time_total for each in found[_ROWS:]) / 1e6
    rows.append([f"{len(found) - _ROWS} others", f"{rest / whole:.1%}", None])
    rate = f"{len(case.documents) / whole:.3g} documents/s"
    report.table(f"{case.name}, native, {dtype}: {rate}", ["operator", "time", "calls"], rows)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks profile", description=__doc__)
    names = [kind.name for kind in cases.KINDS]
    dtypes = get_args(Dtype)
    parser.add_argument("--quick", action="store_true", help=f"{_FEW} documents of each case")
    parser.add_argument("--cases", nargs="+", choices=names, metavar="NAME", default=_CASES)
    parser.add_argument("--dtypes", nargs="+", choices=dtypes, default=("float32", "int8"))
    parser.add_argument("--documents", type=int, metavar="N", help=f"default {_DOCUMENTS}")
    parser.add_argument("--shared", type=Path, default=cases.SHARED)
    return parser

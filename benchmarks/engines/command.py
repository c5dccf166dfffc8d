"""`python -m benchmarks engines`: which engine summarizes how fast, and how exactly."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import get_args

from benchmarks.engines import cases, contest, roofline
from benchmarks.engines.cases import Case, Kind, NotHere, Places
from benchmarks.engines.contest import Contestant, Measured
from benchmarks.engines.sides import SIDES, Dtype
from benchmarks.engines.table import COLUMNS, rouge_1, row
from benchmarks.report import Report
from worker import model_files, models

HOME = Path(__file__).resolve().parent.parent / ".models"
_ROUNDS = 3


def main(arguments: list[str]) -> None:
    given = _parser().parse_args(arguments)
    model_files.quiet()
    report = Report("engines", "Engines side by side", arguments)
    places = Places(given.home.resolve(), given.shared.resolve())
    rounds = given.rounds or (1 if given.quick else _ROUNDS)
    for kind in _chosen(given):
        count = given.documents or (given.quick and kind.quick) or kind.documents
        try:
            case = kind.make(places, count)
        except NotHere as error:
            report.note(f"{kind.name}: skipped: {error}")
        else:
            _measure(case, _contestants(kind, given), rounds, places.made, report)
        report.write()  # case by case: a side that fails ends the run


def _chosen(given: argparse.Namespace) -> list[Kind]:
    if given.cases:
        return [kind for kind in cases.KINDS if kind.name in given.cases]
    return [kind for kind in cases.KINDS if kind.quick or not given.quick]


def _measure(
    case: Case, contestants: Sequence[Contestant], rounds: int, home: Path, report: Report
) -> None:
    work = roofline.work_of(models.resolve(case.model, home))
    cores = len(os.sched_getaffinity(0))
    before = roofline.peaks(work.layer, cores)
    found, refused = contest.compete(case, contestants, rounds, home)
    peaks = before.or_better(roofline.peaks(work.layer, cores))
    for line in refused:
        report.note(f"{case.name}: left out: {line}")
    if not found:
        return
    rouge = _rouge(case, found, home)
    oracle = next((each for each in found if each.contestant.dtype == "float32"), found[0])
    new = [len(ids) for ids in oracle.ids]
    rows = []
    for measured in found:
        least = work.least_seconds(
            [len(ids) for ids in case.documents],
            new,
            case.generation.get("num_beams", 1),
            measured.contestant.dtype,
            peaks,
        )
        rows.append(row(case, measured, found, least, rouge))
    report.table(_title(case, new), COLUMNS, rows)
    report.note(peaks.said())
    report.data(case.name, {"peaks": asdict(peaks), "measured": [asdict(each) for each in found]})


def _title(case: Case, new: Sequence[int]) -> str:
    tokens = sum(map(len, case.documents)) / len(case.documents)
    return (
        f"{case.name}: {len(case.documents)} documents of {tokens:.0f} tokens, "
        f"{case.generation.get('num_beams', 1)} beams, {min(new)} to {max(new)} tokens out"
    )


def _rouge(case: Case, found: Sequence[Measured], home: Path) -> dict[Contestant, float]:
    if not case.references:
        return {}
    resolved = models.resolve(case.model, home)
    assert resolved.folder is not None
    tokenizer = model_files.read_tokenizer(resolved.folder, case.name)
    scores = {}
    for measured in found:
        texts = tokenizer.batch_decode(measured.ids, skip_special_tokens=True)
        scores[measured.contestant] = rouge_1(texts, case.references)
    return scores


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks engines", description=__doc__)
    names = [kind.name for kind in cases.KINDS]
    parser.add_argument("--quick", action="store_true", help="two cases, once, few documents")
    parser.add_argument("--cases", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--rounds", type=int, metavar="N", help=f"default {_ROUNDS}")
    parser.add_argument("--documents", type=int, metavar="N", help="instead of each case's own")
    parser.add_argument(
        "--contestants",
        nargs="+",
        metavar="SIDE:DTYPE[:PROCESSESxTHREADS]",
        help=f"sides: {', '.join(SIDES)}; peer is CTranslate2",
    )
    parser.add_argument(
        "--shared", type=Path, default=cases.SHARED, help="holds models/scitldr-bart-tiny and data"
    )
    parser.add_argument("--home", type=Path, default=HOME, help="keeps the models that are made")
    return parser


def _contestants(kind: Kind, given: argparse.Namespace) -> list[Contestant]:
    """Those that were named; else every side that is worth it. Native is in both splits, as the
    peer chooses between them too, but for the quick and the large: there it is single threads."""
    cores = len(os.sched_getaffinity(0))
    splits = [f"{cores}x1"] if given.quick or not kind.both_splits else [f"1x{cores}", f"{cores}x1"]
    dtypes = [dtype for dtype in get_args(Dtype) if dtype != "bfloat16" or not given.quick]
    named = given.contestants or [
        *("textbook:float32", f"sorted:float32:1x{cores}"),
        *(f"sorted:float32:{split}" for split in splits if len(splits) > 1),
        *(f"sorted:{dtype}" for dtype in dtypes if dtype == "bfloat16"),
        *(f"native:{dtype}:{split}" for dtype in dtypes for split in splits),
        *kind.others,
        *("peer:float32", "peer:int8"),
    ]
    return [Contestant.read(each, cores) for each in dict.fromkeys(named)]

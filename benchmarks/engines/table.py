"""From what was measured of one case to the rows of its table."""

from collections.abc import Sequence
from statistics import fmean, median

from benchmarks.engines.cases import Case
from benchmarks.engines.contest import Contestant, Measured
from benchmarks.report import Cell

COLUMNS = (
    "side",
    "dtype",
    "processes x threads",
    "settings",
    "documents/s",
    "spread",
    "x textbook",
    "x sorted",
    "equal",
    "ROUGE-1",
    "loss",
    "peak MiB",
    "of roofline",
)
Texts = Sequence[str]


def rate(case: Case, measured: Measured) -> float:
    """Documents a second, of the median round."""
    return len(case.documents) / median(measured.seconds)


def row(
    case: Case,
    measured: Measured,
    everyone: Sequence[Measured],
    least_seconds: float,
    rouge: dict[Contestant, float],
) -> list[Cell]:
    """`least_seconds` is what the machine would need; `rouge` is empty without references."""
    who = measured.contestant
    oracle = _find(everyone, "sorted", "float32")
    return [
        who.side,
        who.dtype,
        f"{who.processes} x {who.threads}",
        measured.settings,
        rate(case, measured),
        _spread(measured.seconds),
        _ratio(case, measured, _find(everyone, "textbook", "float32")),
        _ratio(case, measured, _find(everyone, "sorted", who.dtype)),
        _percent(equal(measured.ids, oracle.ids)) if oracle else None,
        rouge.get(who),
        rouge[oracle.contestant] - rouge[who] if rouge and oracle else None,
        round(measured.peak_mib),
        _percent(least_seconds / median(measured.seconds)),
    ]


def equal(found: Sequence[list[int]], oracle: Sequence[list[int]]) -> float:
    """Share of the documents whose tokens are the oracle's."""
    return fmean(ids == expected for ids, expected in zip(found, oracle, strict=True))


def rouge_1(texts: Texts, references: Sequence[Texts]) -> float:
    """The mean over documents of the best score over a document's references, times 100."""
    from producer.evaluation.rouge import rouge

    return fmean(
        max(rouge([(text, reference)]).rouge1 for reference in of_one)
        for text, of_one in zip(texts, references, strict=True)
    )


def _find(everyone: Sequence[Measured], side: str, dtype: str) -> Measured | None:
    found = (each for each in everyone if each.contestant.side == side)
    return next((each for each in found if each.contestant.dtype == dtype), None)


def _ratio(case: Case, measured: Measured, base: Measured | None) -> Cell:
    return rate(case, measured) / rate(case, base) if base else None


def _spread(seconds: Sequence[float]) -> Cell:
    """Between the fastest round and the slowest, as a share of the median."""
    if len(seconds) == 1:
        return None
    return _percent((max(seconds) - min(seconds)) / median(seconds))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"

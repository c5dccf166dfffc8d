"""Two jobs over the same documents, side by side: which is better, and where."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from heapq import nlargest
from typing import TYPE_CHECKING, Any

from jobs.errors import UsageError
from producer.evaluation import bootstrap, measures, pairs, pool
from producer.evaluation.bootstrap import Difference, Score
from producer.evaluation.measures import COMPARED, Numbers
from producer.evaluation.pairs import Matching, Row
from producer.evaluation.pool import Progress, unseen
from producer.evaluation.rouge import METRICS
from producer.evaluation.spread import Quartiles, quartiles
from producer.status import JobStatusView

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from producer.evaluation.measures import Table

_A, _B = (COMPARED.index(f"{side} rougeL") for side in "ab")
_ALIKE = COMPARED.index("alike")


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two jobs."""

    job: str
    status: str
    model: str
    failed: int
    """Of the documents that both have."""
    only_here: int
    words: Quartiles | None
    """Of a summary."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric, F1 times 100, over the documents that have a reference."""

    a: Score
    b: Score
    difference: Difference
    """Of b from a: above 0 where b is better."""
    wins: int
    """Documents for which b is better; losses, for which a is."""
    ties: int
    losses: int


@dataclass(frozen=True, slots=True)
class Sample:
    """Two summaries of one document. The ids are those of a's row, or of b's."""

    index: int
    id: str | None
    a: str
    b: str
    reference: str | None
    difference: float | None
    """ROUGE-L of b less that of a; None without a reference."""
    alike: float
    """ROUGE-L of the one against the other."""


@dataclass(frozen=True, slots=True)
class Diff:
    """What was found. Documents that one of the two failed at are left out, and counted."""

    a: Side
    b: Side
    matched_by: str
    same_source: bool
    documents: int
    """Of which both have a summary."""
    without_reference: int
    other_reference: int
    """Of which the jobs hold two different references; a's is taken."""
    same: int
    """Summaries that are equal to the last character."""
    alike: float
    """Mean ROUGE-L of the summaries of a against those of b, 0 to 100."""
    rouge: dict[str, Comparison] | None
    """None where no document has a reference."""
    b_ahead: list[Sample]
    """Where b is better by most; without references empty."""
    a_ahead: list[Sample]
    least_alike: list[Sample]
    """Without references, where the two differ most; with them empty."""

    def to_json(self) -> dict[str, Any]:
        """As `gistmill diff --json` prints it: docs/evaluation.md has the keys."""
        return {"object": "diff", **asdict(self), "bootstrap": bootstrap.said()}


def diff(
    a: JobStatusView,
    b: JobStatusView,
    matching: Matching,
    rows: Iterable[tuple[Row, Row]],
    samples: int = 3,
    progress: Progress = unseen,
) -> Diff:
    """Of the `rows` of two jobs that are of the same document. `progress` is told how many are
    done, whenever some are.

    Raises UsageError where one has no summary, or there is no document of which both have one.
    """
    for job in (a, b):
        if not job.counts.completed:
            raise UsageError(f"{job.id} is {job.status}: it has no summary to compare")
    looked = _Looked(samples, rows)
    matched = len(matching.partners)
    with closing(pool.measured("comparison", looked.summaries(), _texts, matched)) as measured:
        for some, numbers in measured:
            looked.add(some, numbers)
            progress(looked.rows)
    if not looked.numbers:
        raise UsageError(
            f"{a.id} and {b.id} have no summary of the same document, by {matching.by}; compare "
            "two jobs of one source, or with ids: --id-column"
        )
    table = measures.table(COMPARED, looked.numbers)
    rouge = _compared(table)
    return Diff(
        a=_side(a, looked.failed[0], matching.only_a, table["a words"]),
        b=_side(b, looked.failed[1], matching.only_b, table["b words"]),
        matched_by=matching.by,
        same_source=a.source == b.source,
        documents=len(table["same"]),
        without_reference=int(len(table["same"]) - len(_scored(table)["same"])),
        other_reference=looked.other_reference,
        same=int(table["same"].sum()),
        alike=float(100 * table["alike"].mean()),
        rouge=rouge,
        b_ahead=looked.most("b") if rouge else [],
        a_ahead=looked.most("a") if rouge else [],
        least_alike=[] if rouge else looked.most("unlike"),
    )


class _Looked:
    """What was looked at so far: numbers, and the rows that stand out."""

    def __init__(self, samples: int, rows: Iterable[tuple[Row, Row]]) -> None:
        self.rows = 0
        self.failed = [0, 0]
        self.other_reference = 0
        self.numbers: list[NDArray[np.float64]] = []
        self._samples = samples
        self._rows = rows
        self._most: dict[str, list[tuple[float, Sample]]] = {"a": [], "b": [], "unlike": []}

    def summaries(self) -> Iterator[tuple[Row, Row]]:
        for ours, theirs in self._rows:
            self.failed[0] += ours["error"] is not None
            self.failed[1] += theirs["error"] is not None
            if ours["error"] or theirs["error"]:
                self.rows += 1
            else:
                yield ours, theirs

    def add(self, rows: Sequence[tuple[Row, Row]], numbers: Sequence[Numbers]) -> None:
        self.rows += len(rows)
        self.numbers.append(measures.packed(numbers))
        samples = [_sample(*each, row) for each, row in zip(rows, numbers, strict=True)]
        self.other_reference += sum(
            len({pairs.reference(row) for row in each} - {None}) > 1 for each in rows
        )
        gains = [(each.difference or 0.0, each) for each in samples]
        self._keep("b", [(gain, each) for gain, each in gains if gain > 0])
        self._keep("a", [(-gain, each) for gain, each in gains if gain < 0])
        self._keep("unlike", [(-each.alike, each) for each in samples if each.a != each.b])

    def most(self, name: str) -> list[Sample]:
        return [sample for _, sample in self._most[name]]

    def _keep(self, name: str, found: list[tuple[float, Sample]]) -> None:
        known = [*self._most[name], *found]
        self._most[name] = nlargest(self._samples, known, key=lambda each: each[0])


def _texts(rows: tuple[Row, Row]) -> measures.Texts:
    ours, theirs = rows
    return ours["summary"], theirs["summary"], pairs.reference(ours, theirs)


def _sample(ours: Row, theirs: Row, numbers: Numbers) -> Sample:
    first, second, alike = (numbers[place] for place in (_A, _B, _ALIKE))
    gain = 100 * (second - first) if first is not None and second is not None else None
    return Sample(
        index=ours["index"],
        id=ours["id"] if ours["id"] is not None else theirs["id"],
        a=ours["summary"],
        b=theirs["summary"],
        reference=pairs.reference(ours, theirs),
        difference=gain,
        alike=100 * (alike or 0.0),
    )


def _scored(table: "Table") -> "Table":
    return measures.where_known(table, f"a {METRICS[0]}")


def _compared(table: "Table") -> dict[str, Comparison] | None:
    scored = _scored(table)
    if not len(scored["same"]):
        return None
    columns = {name: 100 * scored[name] for name in scored if name[:2] in ("a ", "b ")}
    gains = {metric: columns[f"b {metric}"] - columns[f"a {metric}"] for metric in METRICS}
    scores, differences = bootstrap.scores(columns), bootstrap.differences(gains)
    return {
        metric: Comparison(
            scores[f"a {metric}"],
            scores[f"b {metric}"],
            differences[metric],
            wins=int((gain > 0).sum()),
            ties=int((gain == 0).sum()),
            losses=int((gain < 0).sum()),
        )
        for metric, gain in gains.items()
    }


def _side(job: JobStatusView, failed: int, only_here: int, words: "NDArray[np.float64]") -> Side:
    return Side(job.id, job.status, job.model, failed, only_here, quartiles(words))

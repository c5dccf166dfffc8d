"""One job: its scores beside those of the first three sentences, and what is odd about it."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from jobs.errors import UsageError
from producer.evaluation import bootstrap, measures, pool
from producer.evaluation.bootstrap import Difference, Score
from producer.evaluation.flags import Flag, Tally
from producer.evaluation.measures import EVALUATED, LEAD, Numbers
from producer.evaluation.pairs import Pair
from producer.evaluation.pool import Progress, unseen
from producer.evaluation.rouge import METRICS
from producer.evaluation.spread import Bin, Quartiles, histogram, quartiles
from producer.evaluation.wording import ORDERS
from producer.status import JobStatusView

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from producer.evaluation.measures import Table


@dataclass(frozen=True, slots=True)
class RougeScores:
    """By metric, F1 times 100: of the summaries, of lead-3 on the same documents, and the first
    less the second; the last two None where the documents were not read."""

    documents: int
    summaries: dict[str, Score]
    lead_3: dict[str, Score] | None
    above_lead_3: dict[str, Difference] | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was found of a job's summaries. Failed documents are left out, and counted."""

    job: str
    status: str
    model: str
    documents: int
    """Summaries that were looked at."""
    failed: int
    pending: int | None
    """Documents that are not over; None where their number is not known yet."""
    without_reference: int
    rouge: RougeScores | None
    """None where no document has a reference."""
    compression: Quartiles | None
    """Words of the document for each word of its summary; None where no document was read."""
    novel_ngrams: dict[int, float | None] | None
    """By n, the mean share of a summary's n-grams that its document has not."""
    words: Quartiles | None
    """Of a summary."""
    lengths: list[Bin]
    """Summaries by their words."""
    kept: list[Bin]
    """Summaries by their words for each 100 of their document; none where no document was read."""
    flags: list[Flag]

    def to_json(self) -> dict[str, Any]:
        """As `gistmill evaluate --json` prints it: docs/evaluation.md has the keys."""
        return {"object": "evaluation", **asdict(self), "bootstrap": bootstrap.said()}


def evaluate(
    status: JobStatusView,
    pairs: Iterator[Pair],
    samples: int = 3,
    progress: Progress = unseen,
) -> Evaluation:
    """Of the `pairs` of a job. `progress` is told how many are done, whenever some are.

    Raises UsageError where there is no summary among them.
    """
    looked = _Looked(samples, pairs)
    rows = status.counts.completed + status.counts.failed
    with closing(pool.measured("evaluation", looked.summaries(), _texts, rows)) as measured:
        for some, numbers in measured:
            looked.add(some, numbers)
            progress(looked.rows)
    if looked.rows == looked.failed:
        raise UsageError(f"{status.id} is {status.status}: it has no summary to evaluate")
    table = measures.table(EVALUATED, looked.numbers)
    total = status.counts.total
    return Evaluation(
        job=status.id,
        status=status.status,
        model=status.model,
        documents=looked.rows - looked.failed,
        failed=looked.failed,
        pending=None if total is None else total - looked.rows,
        without_reference=_missing(table["rouge1"]),
        rouge=_rouge(table),
        compression=_compression(table),
        novel_ngrams=_novel(table),
        words=quartiles(table["summary words"]),
        lengths=histogram(table["summary words"]),
        kept=_kept(table),
        flags=looked.tally.flags(),
    )


class _Looked:
    """The rows of a job that were looked at so far, in numbers."""

    def __init__(self, samples: int, pairs: Iterator[Pair]) -> None:
        self.rows = 0
        self.failed = 0
        self.numbers: list[NDArray[np.float64]] = []
        self.tally = Tally(samples)
        self._pairs = pairs

    def summaries(self) -> Iterator[Pair]:
        for pair in self._pairs:
            if pair.row["error"]:
                self.rows += 1
                self.failed += 1
            else:
                yield pair

    def add(self, pairs: list[Pair], numbers: list[Numbers]) -> None:
        self.rows += len(pairs)
        self.numbers.append(measures.packed(numbers))
        self.tally.add(pairs, numbers)


def _texts(pair: Pair) -> measures.Texts:
    return pair.row["summary"], pair.text, pair.reference


def _missing(column: "NDArray[np.float64]") -> int:
    import numpy as np

    return int(np.isnan(column).sum())


def _rouge(table: "Table") -> RougeScores | None:
    scored = measures.where_known(table, METRICS[0])
    documents = len(scored[METRICS[0]])
    if not documents:
        return None
    ours = {metric: 100 * scored[metric] for metric in METRICS}
    lead = {metric: 100 * scored[f"{LEAD} {metric}"] for metric in METRICS}
    summaries = bootstrap.scores(ours)
    if _missing(lead[METRICS[0]]):
        return RougeScores(documents, summaries, None, None)
    above = bootstrap.differences({metric: ours[metric] - lead[metric] for metric in METRICS})
    return RougeScores(documents, summaries, bootstrap.scores(lead), above)


def _compression(table: "Table") -> Quartiles | None:
    known = measures.where_known(table, "document words")
    some = known["summary words"] > 0
    return quartiles(known["document words"][some] / known["summary words"][some])


def _kept(table: "Table") -> list[Bin]:
    import numpy as np

    known = measures.where_known(table, "document words")
    some = known["document words"] > 0
    return histogram(np.round(100 * known["summary words"][some] / known["document words"][some]))


def _novel(table: "Table") -> dict[int, float | None] | None:
    if _missing(table["document words"]):
        return None
    columns = {order: measures.where_known(table, f"novel {order}") for order in ORDERS}
    return {
        order: float(known[f"novel {order}"].mean()) if len(known[f"novel {order}"]) else None
        for order, known in columns.items()
    }

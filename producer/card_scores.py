"""The scores that a card states: of a sample of the rows that are pushed, as they go by.

ROUGE of the summaries against the references, beside that of the first three sentences of the
same documents, which any summary has to beat. `gistmill evaluate` looks at all of a job.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

from producer.evaluation.sentences import lead

if TYPE_CHECKING:
    from producer.evaluation.rouge import Rouge

_MOST = 20_000
"""Documents: enough for the second decimal, and seconds to score."""
_NAMES = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L", "rougeLsum": "ROUGE-Lsum"}
_LEAD = "lead-3 (the first sentences)"


@dataclass(frozen=True)
class Scores:
    """ROUGE as it is printed: F1, times 100, by metric, by whose summaries they are."""

    documents: int
    of: Mapping[str, Mapping[str, float]]


class Sample:
    """Summaries with their references and the first sentences of their documents."""

    def __init__(self, source: Mapping[str, Any], summary_column: str, documents: int) -> None:
        """`documents` is how many rows there will be: every n-th of them is looked at."""
        columns = source.get("columns") or {"text": "text", "reference": "reference"}
        self._text: str = columns["text"]
        self._reference: str | None = columns["reference"]
        self._summary = summary_column
        self._step = max(1, ceil(documents / _MOST))
        self._seen = 0
        self._taken: list[tuple[str, str, str]] = []

    def add(self, row: Mapping[str, Any]) -> None:
        self._seen += 1
        if self._reference is None or self._seen % self._step:
            return
        summary, reference = row[self._summary], row.get(self._reference)
        if summary is not None and isinstance(reference, str) and reference.strip():
            self._taken.append((summary, reference, lead(row[self._text])))

    def scores(self, name: str) -> Scores | None:
        """`name` is whose the summaries are. None where no document has a reference."""
        if not self._taken:
            return None
        # Here, for the numpy that it brings: each client imports this module.
        from producer.evaluation.rouge import rouge

        ours = rouge((summary, reference) for summary, reference, _ in self._taken)
        first = rouge((first, reference) for _, reference, first in self._taken)
        return Scores(len(self._taken), {name: _named(ours), _LEAD: _named(first)})


def _named(scores: "Rouge") -> dict[str, float]:
    return {_NAMES[metric]: value for metric, value in asdict(scores).items()}

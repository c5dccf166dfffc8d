"""Summaries that are worth a look: counted by what is odd about them, the first of each kept."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from producer.evaluation.measures import EVALUATED, Numbers
from producer.evaluation.pairs import Pair

FLAGS = {
    "empty": "no word in it",
    "copied": "20 words in a row, or 4/5, from the document",
    "repetitive": "over 1/5 of its word triples came before",
    "truncated": "the model read only the document's beginning",
    "cut_off": "ended at the greatest length, not by itself",
}
"""By name, in the order in which they are shown. A summary may have several."""

_MEASURED = {name: EVALUATED.index(name) for name in ("empty", "copied", "repetitive")}


@dataclass(frozen=True, slots=True)
class Flag:
    """Summaries that have it, and the first of them: `index`, `id` and `summary`."""

    name: str
    documents: int
    share: float
    samples: list[dict[str, Any]]


class Tally:
    """Counts flags, and keeps `samples` of each."""

    def __init__(self, samples: int) -> None:
        self._samples = samples
        self._total = 0
        self._found = dict.fromkeys(FLAGS, 0)
        self._kept: dict[str, list[dict[str, Any]]] = {name: [] for name in FLAGS}
        self._unread = False

    def add(self, pairs: Sequence[Pair], numbers: Sequence[Numbers]) -> None:
        self._total += len(pairs)
        self._unread = self._unread or any(pair.text is None for pair in pairs)
        for pair, measured in zip(pairs, numbers, strict=True):
            for name in _flags(pair, measured):
                self._found[name] += 1
                if len(self._kept[name]) < self._samples:
                    sample = {key: pair.row[key] for key in ("index", "id", "summary")}
                    self._kept[name].append(sample)

    def flags(self) -> list[Flag]:
        """All of them but what can not be known without the documents."""
        return [
            Flag(name, found, found / self._total, self._kept[name])
            for name, found in self._found.items()
            if name != "copied" or not self._unread
        ]


def _flags(pair: Pair, measured: Numbers) -> Iterator[str]:
    yield from (name for name, place in _MEASURED.items() if measured[place])
    if pair.row["truncated"]:
        yield "truncated"
    if pair.row["finish_reason"] == "length":
        yield "cut_off"

"""ROUGE of one text against another, as the package rouge-score has it, and faster.

F1 of words (ROUGE-1), of pairs of words (ROUGE-2), of the longest common subsequence (ROUGE-L),
and of the union of those of all sentences (ROUGE-Lsum): Lin 2004, "ROUGE: a package for automatic
evaluation of summaries". Words are rouge-score's own, stemmed by Porter: a to z and 0 to 9, in
lower case; what is written in other letters has none.

Each number is equal to what `RougeScorer(METRICS, use_stemmer=True)` gives for the two texts with
a sentence a line (`sentences.lines`). Scores of many texts are plain means, times 100, as papers
print them; rouge-score's own aggregator returns the middle of a bootstrap instead.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from statistics import fmean
from typing import TypeVar

from producer.evaluation import lcs
from producer.evaluation.sentences import sentences

T = TypeVar("T")

METRICS = ("rouge1", "rouge2", "rougeL", "rougeLsum")
Scores = tuple[float, float, float, float]
"""F1, 0 to 1, in the order of METRICS."""

_WORD = re.compile("[a-z0-9]+")
# Enough for the words of many texts, some 20 MB of them.
_STEMS = 1 << 17


@dataclass(frozen=True, slots=True)
class Rouge:
    """Means of F1, 0 to 100."""

    rouge1: float
    rouge2: float
    rougeL: float  # noqa: N815 - the metric's name
    rougeLsum: float  # noqa: N815


def rouge(pairs: Iterable[tuple[str, str]]) -> Rouge:
    """Of (summary, reference) pairs, at least one. Raises ValueError where there is none."""
    scorer = Scorer()
    scores = [scorer.score(scorer.read(right), scorer.read(left)) for left, right in pairs]
    if not scores:
        raise ValueError("no pair of summary and reference to score")
    return Rouge(*(100 * fmean(column) for column in zip(*scores, strict=True)))


class Sentence:
    def __init__(self, words: list[str]) -> None:
        self.words = words

    @cached_property
    def places(self) -> lcs.Places:
        """Where each word stands: what only a reference needs."""
        return lcs.places(self.words)


class Text:
    """A text, read once and scored against any number of others."""

    def __init__(self, in_sentences: list[list[str]]) -> None:
        words = [word for sentence in in_sentences for word in sentence]
        self.whole = Sentence(words)
        self.sentences = [Sentence(each) for each in in_sentences if each]
        self.unigrams = Counter(words)
        self.bigrams = Counter(pairwise(words))


class Scorer:
    """Reads texts and scores them. Remembers the stems that it has found."""

    def __init__(self) -> None:
        # It brings NLTK along, which takes most of a second to import.
        from rouge_score.tokenizers import DefaultTokenizer

        self._stems = lru_cache(_STEMS)(DefaultTokenizer(use_stemmer=True).tokenize)

    def read(self, text: str) -> Text:
        return Text([self._words(sentence) for sentence in sentences(text)])

    def score(self, reference: Text, summary: Text) -> Scores:
        words = len(reference.whole.words), len(summary.whole.words)
        common = lcs.length(reference.whole.words, reference.whole.places, summary.whole.words)
        return (
            _shared(reference.unigrams, summary.unigrams),
            _shared(reference.bigrams, summary.bigrams),
            _f1(common, *words),
            _f1(_in_union(reference, summary, common), *words),
        )

    def _words(self, sentence: str) -> list[str]:
        return [stem for word in _WORD.findall(sentence.lower()) for stem in self._stems(word)]


def _shared(reference: Counter[T], summary: Counter[T]) -> float:
    return _f1((reference & summary).total(), reference.total(), summary.total())


def _in_union(reference: Text, summary: Text, common: int) -> int:
    """How many words of the reference some sentence of the summary has in order, none counted
    more often than the summary has it."""
    if len(reference.sentences) == len(summary.sentences) == 1:
        return common
    found: Counter[str] = Counter()
    for sentence in reference.sentences:
        union = 0
        for other in summary.sentences:
            union |= lcs.members(sentence.words, sentence.places, other.words)
        found.update(word for place, word in enumerate(sentence.words) if union >> place & 1)
    return (found & summary.unigrams).total()


def _f1(hits: int, of_reference: int, of_summary: int) -> float:
    if not hits:
        return 0.0
    precision, recall = hits / of_summary, hits / of_reference
    return 2 * precision * recall / (precision + recall)

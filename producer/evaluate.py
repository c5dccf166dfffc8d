"""Is it any good: ROUGE of summaries against references, and the baseline to compare with.

Scores are plain means of F1 over the documents, with stemming, times 100, as
summarization papers print them (Lin 2004; the package rouge-score). Its own
aggregator returns the middle of a bootstrap instead.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from statistics import fmean

_SENTENCE = re.compile(r"(?=\S).*?(?:[.!?](?=\s)|$)", re.MULTILINE)
_METRICS = ("rouge1", "rouge2", "rougeL")


@dataclass(frozen=True, slots=True)
class Rouge:
    """F1 of unigrams, of bigrams, and of the longest common subsequence; 0 to 100."""

    rouge1: float
    rouge2: float
    rougeL: float  # noqa: N815 - the metric's name


def rouge(pairs: Iterable[tuple[str, str]]) -> Rouge:
    """Of (summary, reference) pairs, at least one. Raises ValueError where there is none."""
    # It brings NLTK along, which takes most of a second to import.
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(list(_METRICS), use_stemmer=True)
    scores = [scorer.score(reference, summary) for summary, reference in pairs]
    if not scores:
        raise ValueError("no pair of summary and reference to score")
    means = (100 * fmean(score[metric].fmeasure for score in scores) for metric in _METRICS)
    return Rouge(*means)


def lead(text: str, sentences: int = 3) -> str:
    """The first sentences of `text`: what any summary has to beat.

    A sentence ends at a newline, or at `.`, `!` or `?` before white space, as in
    the worker's engine `lead`.
    """
    found = islice(_SENTENCE.finditer(text), sentences)
    return " ".join(match.group().rstrip() for match in found)

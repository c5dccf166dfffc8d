"""ROUGE as summarization papers print it, and the baseline."""

import pytest

from producer.evaluate import lead, rouge
from worker.engines.lead import first_sentences


def test_rouge_by_hand() -> None:
    """Three of four words shared: precision 3/4, recall 3/3; bigrams 2/3 and 2/2."""
    scores = rouge([("the cat sat down", "the cat sat")])
    assert scores.rouge1 == pytest.approx(100 * 2 * 0.75 / 1.75)
    assert scores.rouge2 == pytest.approx(100 * 2 * (2 / 3) / (5 / 3))
    assert scores.rougeL == pytest.approx(scores.rouge1)


def test_rouge_is_the_plain_mean() -> None:
    assert rouge([("a b", "a b"), ("c d", "e f")]).rouge1 == pytest.approx(50)


def test_rouge_stems() -> None:
    assert rouge([("running dogs", "run dog")]).rouge1 == pytest.approx(100)


def test_rouge_of_nothing() -> None:
    with pytest.raises(ValueError, match="no pair"):
        rouge([])


@pytest.mark.parametrize(
    "text",
    ["One. Two! Three? Four.", "No end", "A line\nand another. Then 3.5 more.", "  \n\n x. ", ""],
)
def test_the_baseline_is_the_engine(text: str) -> None:
    """The producer may not import the worker; both cut sentences alike."""
    for count in (1, 2, 3):
        assert lead(text, count) == first_sentences(text, count)

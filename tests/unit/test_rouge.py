"""ROUGE as rouge-score has it, to the last digit, on texts of every kind."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score import rouge_scorer

from producer.evaluation import lcs
from producer.evaluation.rouge import METRICS, Rouge, Scorer, rouge
from producer.evaluation.sentences import lead, lines
from worker.engines.lead import first_sentences

SCORER = Scorer()
ORACLE = rouge_scorer.RougeScorer(list(METRICS), use_stemmer=True)
ODD = [
    "",
    " \n\t",
    "...",
    "No end",
    "The cat sat. The cat sat down! Did the cats sit?",
    "Running\r\nrunners ran; 3.5 runs (10 %) were run-ups.\n\n\nDon't.",
    "\u00c4rger in der Stra\u00dfe. \u0130stanbul, na\u00efve caf\u00e9s \u2014 \u4e2d\u6587\u3002",
    "a a a a a b. a b a b. a\x0bb\x85c\u2028d. \ufffd",
    "generalizations oscillators happiness skies dying news innings",
]

few_words = st.lists(st.sampled_from(["a", "b", "c", "d", "running", "runs"]), max_size=12)
prose = st.lists(
    st.tuples(few_words, st.sampled_from([". ", "! ", "\n", " ", "? \n", ", "])), max_size=6
).map(lambda parts: "".join(" ".join(words) + end for words, end in parts))


def compare(reference: str, summary: str) -> None:
    ours = SCORER.score(SCORER.read(reference), SCORER.read(summary))
    theirs = ORACLE.score(lines(reference), lines(summary))
    assert ours == tuple(theirs[metric].fmeasure for metric in METRICS)
    as_it_is = ORACLE.score(reference, summary)
    assert ours[:3] == tuple(as_it_is[metric].fmeasure for metric in METRICS[:3])


@pytest.mark.parametrize("reference", ODD)
@pytest.mark.parametrize("summary", ODD)
def test_odd_texts(reference: str, summary: str) -> None:
    compare(reference, summary)


@given(prose, prose)
def test_prose(reference: str, summary: str) -> None:
    compare(reference, summary)


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_characters(reference: str, summary: str) -> None:
    compare(reference, summary)


@given(st.lists(st.sampled_from("abc"), max_size=20), st.lists(st.sampled_from("abc"), max_size=20))
def test_the_same_subsequence(reference: list[str], summary: list[str]) -> None:
    """Of all that are the longest, the one that rouge-score takes."""
    where = lcs.places(reference)
    theirs = rouge_scorer.lcs_ind(reference, summary)
    ours = lcs.members(reference, where, summary)
    assert [place for place in range(len(reference)) if ours >> place & 1] == theirs
    assert lcs.length(reference, where, summary) == len(theirs)


def test_rouge_by_hand() -> None:
    """Three of four words shared: precision 3/4, recall 3/3; bigrams 2/3 and 2/2."""
    scores = rouge([("the cat sat down", "the cat sat")])
    assert scores.rouge1 == pytest.approx(100 * 2 * 0.75 / 1.75)
    assert scores.rouge2 == pytest.approx(100 * 2 * (2 / 3) / (5 / 3))
    assert scores.rougeL == scores.rougeLsum == pytest.approx(scores.rouge1)


def test_sentences_in_another_order() -> None:
    """What ROUGE-Lsum is for: each sentence finds its like, wherever it stands."""
    scores = rouge([("The dog ran. A cat sat.", "A cat sat. The dog ran.")])
    assert scores.rougeLsum == pytest.approx(100)
    assert scores.rougeL == pytest.approx(50)


def test_rouge_is_the_plain_mean() -> None:
    assert rouge([("a b", "a b"), ("c d", "e f")]) == Rouge(50, 50, 50, 50)


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

"""Words of a summary beside those of its document, and how numbers are spread."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.evaluation.spread import Bin, Quartiles, histogram, quartiles
from producer.evaluation.wording import copied, novel, repetitive, words

LONG = [f"w{n}" for n in range(100)]


def test_words() -> None:
    text = (
        "\u201cDon't\u201d \u2014 he said: 3.5 \u00c4pfel, e-mail (U.S.)... - \u4e2d\u6587\u3002\n"
    )
    assert words(text) == [
        *("don't", "he", "said", "3.5", "\u00e4pfel", "e-mail", "u.s", "\u4e2d\u6587"),
    ]


def test_novel_by_hand() -> None:
    """Of a b x a b: three different words, of which x is new; ab bx xa; abx bxa xab; abxa bxab."""
    document = words("A b, c; a.")
    assert novel(words("a b x a b"), document) == [1 / 3, 2 / 3, 1, 1]
    assert novel(words("a b"), document) == [0, 0, None, None]
    assert novel([], document) == [None] * 4


@pytest.mark.parametrize(
    ("summary", "is_copied"),
    [
        (LONG[10:15], True),
        ([*LONG[10:14], "new"], True),
        ([*LONG[10:13], "new", "new"], False),
        (["new", *LONG[10:14]], True),
        ([*LONG[10:12], "new", *LONG[12:14]], False),
        ([*LONG[10:30], *["new"] * 30], True),
        ([*LONG[10:29], *["new"] * 30], False),
        ([], False),
        (["w"], False),
    ],
)
def test_copied(summary: list[str], is_copied: bool) -> None:
    """Four fifths of it in one run, or twenty words; parts of words are none."""
    assert copied(summary, LONG) is is_copied


@pytest.mark.parametrize(
    ("text", "repeats"),
    [
        ("", False),
        ("the the", False),
        ("yes yes yes yes", True),
        ("The cat sat down. The cat sat down.", True),
        ("a cat sat on a mat and a dog lay on a rug near a door", False),
        ("one two three one two three", True),
    ],
)
def test_repetitive(text: str, repeats: bool) -> None:
    assert repetitive(words(text)) is repeats


def test_quartiles() -> None:
    assert quartiles(np.array([1.0, 2, 3, 4, 5])) == Quartiles(2, 3, 4)
    assert quartiles(np.array([])) is None


def test_a_histogram_of_round_bins() -> None:
    numbers = np.array([3.0] * 50 + [17] * 48 + [29, 29])
    documents = [50, 0, 0, 48, 0, 2]
    found = histogram(numbers)
    assert found == [Bin(5 * n, 5 * n + 5, each) for n, each in enumerate(documents)]


def test_a_histogram_with_one_that_is_far_out() -> None:
    """It does not leave one bin for all the others."""
    found = histogram(np.array([*range(10, 210), 10_000.0]))
    assert len(found) > 8
    assert found[-1].documents <= 3
    assert found[-1].stop == 10_001


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=50))
def test_a_histogram_has_all(numbers: list[int]) -> None:
    found = histogram(np.array(numbers, dtype=float))
    assert sum(each.documents for each in found) == len(numbers)
    assert len(found) <= 13
    assert found[0].start <= min(numbers)
    assert all(left.stop == right.start for left, right in pairwise(found))
    assert max(numbers) < found[-1].stop

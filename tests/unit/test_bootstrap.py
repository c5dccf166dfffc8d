"""Intervals of means, and of differences, by drawing documents again."""

import numpy as np
import pytest
from numpy.typing import NDArray

from producer.evaluation import bootstrap
from producer.evaluation.bootstrap import Difference, Score


def column(*numbers: float) -> dict[str, NDArray[np.float64]]:
    return {"x": np.array(numbers)}


def test_two_documents_by_hand() -> None:
    """A draw of two has the mean 0, 50 or 100, a quarter of all, a half and a quarter."""
    assert bootstrap.scores(column(0, 100))["x"] == Score(50, 0, 100)


def test_an_interval_is_as_wide_as_statistics_say() -> None:
    numbers = np.random.default_rng(7).normal(30, 10, 400)
    found = bootstrap.scores({"x": numbers})["x"]
    error = numbers.std() / len(numbers) ** 0.5
    assert found.mean == pytest.approx(numbers.mean())
    assert found.low == pytest.approx(found.mean - 1.96 * error, abs=error / 4)
    assert found.high == pytest.approx(found.mean + 1.96 * error, abs=error / 4)


def test_the_same_numbers_each_time() -> None:
    numbers = column(*range(50))
    assert bootstrap.scores(numbers) == bootstrap.scores(numbers)


def test_columns_share_the_draws() -> None:
    """What is better by 1 for each document is better by 1 in each draw."""
    first = np.arange(20.0)
    found = bootstrap.scores({"a": first, "b": first + 1})
    assert found["b"].low == pytest.approx(found["a"].low + 1)
    assert found["b"].high == pytest.approx(found["a"].high + 1)


def test_no_difference() -> None:
    assert bootstrap.differences(column(0, 0, 0))["x"] == Difference(0, 0, 0, p=1)


def test_a_difference_of_each_document() -> None:
    """No draw is on the other side; still p is not 0."""
    found = bootstrap.differences(column(1, 2, 3))["x"]
    assert found.mean == 2
    assert found.low >= 1
    assert found.p == pytest.approx(2 / 1001)


def test_a_difference_of_some() -> None:
    """One document of two is worse: a quarter of the draws is on the other side."""
    found = bootstrap.differences(column(-1, 2))["x"]
    assert found.p == pytest.approx(0.5, abs=0.1)


def test_one_document_says_nothing_of_others() -> None:
    found = bootstrap.differences({"x": np.array([12.5])})["x"]
    assert (found.mean, found.p) == (12.5, 1.0)

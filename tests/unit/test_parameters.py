"""What a submission refuses before anything is stored."""

from typing import Any

import pytest

from jobs import parameters
from jobs.errors import UsageError


@pytest.mark.parametrize("word", ["NaN", "-Infinity", "1e999", "[1, [Infinity]]"])
def test_numbers_that_json_lacks(word: str) -> None:
    asked = parameters.parse_pairs([f"top_p={word}"])
    with pytest.raises(UsageError, match=r"^top_p: .* is no finite number"):
        parameters.parse({"generate": asked})


@pytest.mark.parametrize("value", [float("nan"), object(), {1, 2}])
def test_values_that_only_python_has(value: Any) -> None:
    with pytest.raises(UsageError, match=r"^top_p: "):
        parameters.parse({"generate": {"top_p": value}})


def test_a_number_of_more_digits_than_python_reads() -> None:
    digits = "9" * 5_000
    assert parameters.parse_pairs([f"top_k={digits}"]) == {"top_k": digits}

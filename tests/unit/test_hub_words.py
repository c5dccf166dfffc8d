"""How the hub's words are read and shown: sizes, numbers, and what a terminal must not obey."""

import pytest

from jobs import hub
from jobs.errors import UsageError
from producer.cli import found
from producer.hub import datasets


@pytest.mark.parametrize(
    ("written", "category"),
    [
        ("10K<n<100K", "10K<n<100K"),
        ("10K < n < 100K", "10K<n<100K"),
        ("10k-100k", "10K<n<100K"),
        ("<1K", "n<1K"),
        ("n>1T", "n>1T"),
        ("0", "n<1K"),
        ("999", "n<1K"),
        ("1000", "1K<n<10K"),
        ("50K", "10K<n<100K"),
        ("1.5m", "1M<n<10M"),
        ("2T", "n>1T"),
    ],
)
def test_sizes(written: str, category: str) -> None:
    assert datasets.size_category(written) == category


@pytest.mark.parametrize("written", ["", "K", "many", "10K-1M", "-5", "1K<n<2K"])
def test_what_is_no_size(written: str) -> None:
    with pytest.raises(UsageError, match="write rows, as 50K, or one of <1K, 1K-10K"):
        datasets.size_category(written)


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (None, "-"),
        (0, "0"),
        (999, "999"),
        (1_000, "1K"),
        (406_290_432, "406M"),
        (999_499, "999K"),
        (999_600, "1M"),
        (1_235_814_400, "1.24B"),
    ],
)
def test_three_digits(number: int | None, shown: str) -> None:
    assert found.short(number) == shown


def test_nothing_that_a_terminal_obeys() -> None:
    assert hub.plain("one\r\ntwo\tthree") == "one two three"
    for mark in ("\x1b", "\x07", "\x9b", "\u202e", "\x00", "\x7f", "\ud800"):
        assert hub.plain(f"a{mark}b") == "a\ufffdb"
    assert hub.plain("naïve 日本語 [x]") == "naïve 日本語 [x]"

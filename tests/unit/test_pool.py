"""Many documents at once: in this process, or in children, with the same numbers in order."""

import os
import signal
from itertools import count, islice
from pathlib import Path

import pytest

from jobs.errors import GistmillError
from producer.evaluation import measures, pool
from tests.mill import children

TEXTS = [(f"Cats sit {n}.", f"The cat sat {n}. It slept.", f"A cat {n}") for n in range(450)]


def texts(given: tuple[str, str, str]) -> measures.Texts:
    return given


def of(pid: int) -> list[int]:
    """Children of ours that measure."""
    return [
        child
        for child in children(pid)
        if b"producer.evaluation.child" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


def test_children_give_the_same_numbers() -> None:
    here = list(pool.measured("evaluation", TEXTS, texts, len(TEXTS)))
    there = list(pool.measured("evaluation", TEXTS, texts, 10_000))
    assert [item for items, _ in there for item in items] == TEXTS
    assert there == here
    assert of(os.getpid()) == []


def test_who_stops_in_between_leaves_nothing_running() -> None:
    """However many documents there are, few are read ahead."""
    read = count()
    endless = (TEXTS[next(read) % 450] for _ in count())
    found = pool.measured("comparison", endless, texts, 10_000)
    assert len(list(islice(found, 2))) == 2
    assert len(of(os.getpid())) >= 1
    assert next(read) < 10_000
    found.close()
    assert of(os.getpid()) == []


def test_a_child_that_is_killed() -> None:
    found = pool.measured("evaluation", (TEXTS[n % 450] for n in count()), texts, 10_000)
    next(found)
    for child in of(os.getpid()):
        os.kill(child, signal.SIGKILL)
    with pytest.raises(GistmillError, match=r"ended with -9; .*too little memory"):
        list(found)
    assert of(os.getpid()) == []


def test_numbers_without_a_document_or_reference() -> None:
    measure = measures.by_name("evaluation")
    row = dict(zip(measures.EVALUATED, measure("A cat.", None, None), strict=True))
    assert {name for name, number in row.items() if number is not None} == {
        *("summary words", "empty", "repetitive"),
    }

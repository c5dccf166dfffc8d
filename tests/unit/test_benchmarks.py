"""What the benchmarks count, so that their ratios and percentages mean what they say."""

from pathlib import Path

import pytest

from benchmarks.engines import contest, roofline, table
from benchmarks.engines.contest import Contestant, Measured
from benchmarks.engines.roofline import Peaks, Work
from tests import models
from worker.models import Resolved

WORK = Work(
    encoder=100,
    cross=10,
    decoder=50,
    head=20,
    encoder_width=2,
    self_width=3,
    cross_width=4,
    self_state=6,
    cross_state=8,
    writes_on=False,
    layer=(1, 1),
)


def test_the_work_of_a_model_is_counted_from_its_layers(tmp_path: Path) -> None:
    folder = models.tiny_bart(tmp_path / "bart")
    work = roofline.work_of(Resolved("bart", "1", "encoder-decoder", folder))
    width, ffn, layers = 32, 64, 2
    assert work.encoder == layers * (4 * width**2 + 2 * width * ffn)
    assert work.cross == layers * 2 * width**2
    assert work.decoder == layers * (6 * width**2 + 2 * width * ffn)
    assert work.encoder_width == work.self_width == work.cross_width == layers * width
    assert work.self_state == work.cross_state == 2 * layers * width
    assert set(work.layer) == {width, ffn}


def test_the_least_time_is_what_decides_in_each_phase() -> None:
    """Two documents, of which the second has one step only, on machines with one limit each."""
    case = ([3, 5], [2, 1], 4, "float32")
    read = 2 * 110 * 8 + 4 * 2 * (9 + 25)
    first = 2 * 70 * 8 + 4 * 4 * 4 * 8
    second = 2 * 70 * 4 + 4 * (4 * 4 * 3 + 3 * 4 * 1)
    slow = Peaks({"float32": 1.0}, 1e12)
    assert WORK.least_seconds(*case, slow) == pytest.approx(read + first + second)
    narrow = Peaks({"float32": 1e12}, 1.0)
    moved = 4 * 110 + (4 * 70 + 4 * 8 * 8) + (4 * 70 + 4 * (8 * 3 + 6 * 4 * 1))
    assert WORK.least_seconds(*case, narrow) == pytest.approx(moved)


def test_documents_are_dealt_by_length() -> None:
    documents = [[0] * length for length in (9, 1, 5, 7)]
    assert contest._dealt(documents, 2) == [[0, 1], [2, 3]]
    assert contest._gathered([[0, 1], [2, 3]], [[[0], [1]], [[2], [3]]]) == [[0], [1], [2], [3]]


def test_a_contestant_is_read() -> None:
    assert Contestant.read("sorted:float32", 2) == Contestant("sorted", "float32", 1, 2)
    assert Contestant.read("native:int8:2x1", 2) == Contestant("native", "int8", 2, 1)
    with pytest.raises(SystemExit, match="write it as in native:int8"):
        Contestant.read("native:int4", 2)


def test_the_spread_and_the_share_that_is_equal() -> None:
    measured = Measured(Contestant("sorted", "float32", 1, 2), "", [2.0, 4.0, 5.0])
    assert table._spread(measured.seconds) == "75 %"
    assert table.equal([[1], [2, 3]], [[1], [2]]) == 0.5

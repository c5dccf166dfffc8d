"""Charts of HTML: what is drawn, what is said to those who do not see it, and nothing else."""

import re

from jobs.store.progress import Cell
from producer.dashboard import charts
from producer.dashboard.charts import Column

EVIL = '"><script>alert(1)</script>'


def cell(first: int, last: int, **more: int) -> Cell:
    known = {"completed": 0, "failed": 0, "done": 0, "running": 0, "cancelled": 0}
    return Cell(first, last, start=first * 10, stop=last * 10 + 10, **{**known, **more})


def test_columns_are_as_high_as_their_numbers() -> None:
    drawn = charts.columns(
        [Column(0, "none"), Column(5, "half"), Column(10, "all", part=0.5)],
        "Documents over time",
        ("08:00", "09:00"),
        "10",
    )
    assert re.findall(r"height:([\d.]+)%", drawn) == ["0.0", "50.0", "100.0"]
    assert re.findall(r"--bad-share:(\d+)%", drawn) == ["0", "0", "50"]
    assert 'aria-label="Documents over time"' in drawn


def test_nothing_is_drawn_of_nothing() -> None:
    assert "<b" not in charts.columns([], "", ("", ""), "0")
    assert "width" not in charts.bars([("0 to 9", 0)], "Words")
    assert "0 shards: all wait" in charts.strip([])


def test_words_are_escaped() -> None:
    drawn = [
        charts.columns([Column(1, EVIL)], EVIL, (EVIL, EVIL), EVIL),
        charts.bars([(EVIL, 1)], EVIL),
        charts.table([EVIL], [[EVIL, 1]]),
    ]
    for html in drawn:
        assert "<script" not in html
        assert '""' not in html


def test_a_strip_says_how_shards_stand() -> None:
    cells = [
        cell(0, 1, done=2, completed=19, failed=1),
        cell(2, 3, done=1, running=1, completed=10),
        cell(4, 5, done=1, cancelled=1),
        cell(6, 7, done=1),
        cell(8, 8),
    ]
    drawn = charts.strip(cells)
    states = re.findall(r'<i class="(\w+)"', drawn)
    assert states == ["done", "running", "cancelled", "partly", "waiting"]
    assert "9 shards: 5 done, 1 running, 1 cut off" in drawn
    assert "shards 0 to 1: 2 of 2 done; documents 0 to 19, 19 summaries, 1 failed" in drawn
    assert "shard 8: waiting; documents 80 to 89, 0 summaries" in drawn
    assert re.findall(r"--bad-share:(\d+)%", drawn) == ["18", "0", "0", "0", "0"]

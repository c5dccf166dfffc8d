"""A results file stands whole under its name, or not at all."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from producer import results


def test_saved_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    assert results.save(iter([{"summary": "é \u2028"}]), path) == 1
    assert json.loads(path.read_text(encoding="utf-8")) == {"summary": "é \u2028"}
    assert path.stat().st_mode & 0o400


def test_what_stood_there_stands_until_the_end(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("before")

    def broken() -> Iterator[dict[str, Any]]:
        yield {"index": 0}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        results.save(broken(), path)
    assert path.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["out.jsonl"]

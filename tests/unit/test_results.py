"""A results file stands whole under its name, or not at all."""

import json
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.errors import NotFound, UsageError
from producer import results
from tests.unit.test_formats import DONE
from tests.written import written


@pytest.fixture
def short_files() -> Iterator[None]:
    """No file of this process grows beyond 20 kB: a full disk, as a program sees it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def many() -> Iterator[dict[str, Any]]:
    """More than fits, however well it is compressed."""
    for index in range(20_000):
        yield {**DONE, "index": index, "summary": str(index**7)}


def test_saved_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    assert results.save(written(iter([{"summary": "é \u2028"}])), path) == 1
    assert json.loads(path.read_text(encoding="utf-8")) == {"summary": "é \u2028"}
    assert path.stat().st_mode & 0o400


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_what_stood_there_stands_until_the_end(tmp_path: Path, form: str) -> None:
    path = tmp_path / "out"
    path.write_text("before")

    def broken() -> Iterator[dict[str, Any]]:
        yield DONE
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        results.save(written(broken()), path, form)
    assert path.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_a_full_disk(tmp_path: Path, form: str, short_files: None) -> None:
    path = tmp_path / "out"
    path.write_text("before")
    with pytest.raises(NotFound) as caught:
        results.save(written(many()), path, form)
    assert str(caught.value).startswith(f"{path}: File too large; nothing was written; ")
    assert path.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_a_link_still_leads_where_it_led(tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to("out")
    results.save(written([DONE]), tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "out").read_text().startswith("index,")


@pytest.mark.parametrize("name", ["/dev/null", "."])
def test_devices_and_folders_are_not_replaced(name: str) -> None:
    with pytest.raises(UsageError, match="a folder or a device"):
        results.save(written([DONE]), Path(name))


@pytest.mark.parametrize(
    ("asked", "name", "chosen"),
    [
        (None, None, "jsonl"),
        (None, "out.csv", "csv"),
        (None, "out.PARQUET", "parquet"),
        (None, "out.json", "jsonl"),
        (None, "csv", "jsonl"),
        ("csv", "out.parquet", "csv"),
        ("csv", None, "csv"),
    ],
)
def test_the_format(asked: str | None, name: str | None, chosen: str) -> None:
    assert results.choose_format(asked, Path(name) if name else None) == chosen


@pytest.mark.parametrize(
    ("asked", "name", "says"),
    [
        ("parquet", None, "-o out.parquet"),
        ("xlsx", "out.xlsx", "jsonl, csv, parquet"),
        (None, "out.parqet", "'parqet': choose one of jsonl, csv, parquet"),
    ],
)
def test_no_such_format(asked: str | None, name: str | None, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        results.choose_format(asked, Path(name) if name else None)

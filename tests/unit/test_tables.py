"""The same documents as JSON lines, CSV, TSV, Arrow and text files are the same."""

import csv
import io
import json
from itertools import repeat
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.columns import Asked
from jobs.documents import Columns, Document
from jobs.errors import JobError, UsageError
from jobs.sources import asked as asked_of_sources
from jobs.sources import describe
from tests import reading

ROWS: list[dict[str, Any]] = [
    {"id": f"n{number}", "text": text, "summary": f"S{number}."}
    for number, text in enumerate(
        ['A, "quoted" one; it.', "Über\nzwei Zeilen.\n", "\ttabs\t", "a|b", "Ends.", "日本語。"]
        * 40
    )
]


def as_jsonl(path: Path) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def as_csv(path: Path, delimiter: str = ",", **how: Any) -> Path:
    with path.open("w", newline="", encoding=how.pop("encoding", "utf-8")) as file:
        writer = csv.DictWriter(file, list(ROWS[0]), delimiter=delimiter, **how)
        writer.writeheader()
        writer.writerows(ROWS)
    return path


def as_arrow(path: Path, stream: bool, rows_a_batch: int = 7) -> Path:
    table = pa.Table.from_pylist(ROWS)
    new = pa.ipc.new_stream if stream else pa.ipc.new_file
    with pa.OSFile(str(path), "wb") as file, new(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows_a_batch)
    return path


def as_texts(folder: Path) -> Path:
    for number, row in enumerate(ROWS):
        inner = folder / f"{number // 100}"
        inner.mkdir(parents=True, exist_ok=True)
        (inner / f"{number:03}.txt").write_bytes(row["text"].encode())
    return folder


def documents(location: Path | str, size: int, **asked: Any) -> list[Document]:
    """Read shard by shard, the last one first."""
    options = {"format": asked.pop("format", None)}
    found = describe(
        str(location), asked_of_sources.Asked(Asked(**asked), **options), reading.ANYWHERE
    )
    shards = reading.planned(found, size)
    assert all(shard.stop - shard.start <= size for shard in shards)
    opened = reading.worker()
    parts = [opened.read(reading.extent(found.source, shard)) for shard in reversed(shards)]
    return [document for part in reversed(parts) for document in part]


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_twins(tmp_path: Path, size: int) -> None:
    expected = documents(as_jsonl(tmp_path / "in.jsonl"), size)
    assert [document.text for document in expected] == [row["text"] for row in ROWS]
    assert expected[1].reference == "S1."
    twins = [
        as_csv(tmp_path / "in.csv"),
        as_csv(tmp_path / "bom.csv", encoding="utf-8-sig", lineterminator="\n"),
        as_csv(tmp_path / "semicolon.csv", ";", quoting=csv.QUOTE_ALL),
        as_csv(tmp_path / "bar.csv", "|"),
        as_csv(tmp_path / "tab.csv", "\t"),
        as_csv(tmp_path / "in.tsv", "\t"),
        as_arrow(tmp_path / "stream.arrow", stream=True),
        as_arrow(tmp_path / "file.arrow", stream=False),
    ]
    for twin in twins:
        assert documents(twin, size) == expected, twin.name
    texts = documents(as_texts(tmp_path / "texts"), size)
    assert [document.text for document in texts] == [row["text"] for row in ROWS]
    assert [texts[0].id, texts[-1].id] == ["0/000", "2/239"]

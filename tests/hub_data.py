"""Datasets for the stub hub, as folders: the same few documents in one form or another."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Rows = Sequence[dict[str, Any]]


def rows(count: int, begin: int = 0) -> list[dict[str, Any]]:
    return [
        {"id": f"x{n}", "document": f"Document {n} begins. It ends.", "summary": f"It is {n}."}
        for n in range(begin, begin + count)
    ]


def parquet(path: Path, given: Rows, row_group_size: int = 4) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        pa.Table.from_pylist(list(given)), path, row_group_size=row_group_size, compression="none"
    )
    return path


def jsonl(path: Path, given: Rows) -> Path:
    return text(path, "".join(json.dumps(row) + "\n" for row in given))


def text(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def card(folder: Path, front_matter: str) -> Path:
    return text(folder / "README.md", f"---\n{front_matter}---\nA dataset.\n")

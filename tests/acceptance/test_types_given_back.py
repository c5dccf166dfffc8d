"""A join keeps the types of sources that have them: Parquet, what datasets saved, a Dataset."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from jobs.errors import UsageError
from jobs.sources import Sources
from producer.client import Client
from producer.job import Job
from tests.mill import Mill, wait

FEATURES = Features(
    {
        "document": Value("large_string"),
        "summary": Value("string"),
        "id": Value("int32"),
        "label": ClassLabel(names=["bad", "good"]),
        "written": Value("timestamp[us, tz=UTC]"),
        "price": Value("decimal128(5, 2)"),
        "raw": Value("binary"),
        "parts": List({"name": Value("string"), "weight": Value("float32")}),
    }
)
ROWS: list[dict[str, Any]] = [
    {
        "document": f"Document {n}. And more.",
        "summary": None if n % 3 else f"No. {n}",
        "id": n,
        "label": n % 2,
        "written": datetime(2024, 1, 1, n, tzinfo=UTC),
        "price": Decimal("1.50"),
        "raw": bytes([n]),
        "parts": [{"name": "a", "weight": 0.5}] * (n % 3),
    }
    for n in range(10)
]
ADDED = {"generated_summary": Value("string"), "generated_summary_error": Value("string")}


def as_parquet(given: Dataset, folder: Path) -> Any:
    """In two files, of several row groups each."""
    for number, rows in enumerate((range(6), range(6, 10))):
        given.select(rows).to_parquet(folder / f"part-{number}.parquet", batch_size=4)
    return folder / "*.parquet"


def as_saved(given: Dataset, folder: Path) -> Any:
    given.save_to_disk(folder / "saved")
    return folder / "saved"


def as_it_is(given: Dataset, folder: Path) -> Any:
    return given


@pytest.fixture(scope="module")
def client(running: Mill) -> Iterator[Client]:
    with running.client() as opened:
        yield opened


def submitted(client: Client, source: Any) -> Job:
    job = client.submit(source, model="lead-1", shard_size=3)
    assert wait(job) == "completed"
    return job


@pytest.mark.parametrize("form", [as_parquet, as_saved, as_it_is])
def test_types(
    form: Callable[[Dataset, Path], Any],
    client: Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = submitted(client, form(Dataset.from_list(ROWS, features=FEATURES), tmp_path))
    read: list[int] = []
    rows_of = Sources.rows

    def counted(self: Sources, extent: Any) -> list[dict[str, Any]]:
        read.append(extent.start)
        return rows_of(self, extent)

    monkeypatch.setattr(Sources, "rows", counted)
    made = job.to_dataset()
    assert read == sorted(set(read)), "a source that states its types is read once"
    expected = [
        {**row, "generated_summary": f"Document {n}.", "generated_summary_error": None}
        for n, row in enumerate(ROWS)
    ]
    assert made.to_list() == expected
    assert made.features == Features({**FEATURES, **ADDED})

    out = tmp_path / "joined.parquet"
    job.save(out, join=True)
    table = pq.read_table(out)
    assert table.to_pylist() == expected
    assert table.schema.field("document").type == pa.large_string()
    assert Features.from_arrow_schema(table.schema) == made.features


def test_lines_say_in_words_what_json_has_none_for(client: Client, tmp_path: Path) -> None:
    job = submitted(client, as_parquet(Dataset.from_list(ROWS, features=FEATURES), tmp_path))
    job.save(tmp_path / "out.csv", join=True)
    line = (tmp_path / "out.csv").read_text().splitlines()[2]
    assert line == (
        "Document 1. And more.,,1,1,2024-01-01T01:00:00+00:00,1.50,AQ==,"
        '"[{""name"": ""a"", ""weight"": 0.5}]",Document 1.,'
    )


def test_types_that_datasets_does_not_have(client: Client, tmp_path: Path) -> None:
    counts = pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64()))
    pq.write_table(pa.table({"text": ["One."], "counts": counts}), tmp_path / "a.parquet")
    job = submitted(client, tmp_path / "a.parquet")
    with pytest.raises(UsageError, match=r"map<string, int64.*Parquet keeps it"):
        job.to_dataset()
    job.save(tmp_path / "out.parquet", join=True)
    assert pq.read_table(tmp_path / "out.parquet")["counts"].to_pylist() == [[("a", 1)]]


def test_files_that_differ(client: Client, tmp_path: Path) -> None:
    """A column that one file alone has, and one that is a number here and a text there."""
    first = {"text": ["One. Two."], "year": [1], "mixed": [1]}
    second = {"text": ["Uno. Due."], "year": [1.5], "mixed": ["x"], "late": [True]}
    for number, columns in enumerate((first, second)):
        pq.write_table(pa.table(columns), tmp_path / f"{number}.parquet")
    job = submitted(client, tmp_path / "*.parquet")
    assert job.to_dataset().to_dict() == {
        "text": ["One. Two.", "Uno. Due."],
        "year": [1.0, 1.5],
        "mixed": ["1", '"x"'],
        "late": [None, True],
        "summary": ["One.", "Uno."],
        "summary_error": [None, None],
    }

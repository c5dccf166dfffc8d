"""Documents where they lie: a pattern of Parquet files, and a bucket, through a running mill."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.services import Endpoints
from tests import s3
from tests.conftest import mill_of_its_own
from tests.mill import Mill, eventually, sentences
from tests.s3 import Store


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with s3.store() as found:
        yield found


@pytest.fixture(scope="module")
def running(
    endpoints: Endpoints, migrated: str, store: Store, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mill]:
    """A mill whose worker finds the store, as this process does."""
    folder = tmp_path_factory.mktemp("mill")
    with mill_of_its_own(endpoints, migrated, folder) as configured:
        started = Mill(configured, folder)
        started.dispatcher()
        started.worker()
        log = started.log("worker")
        eventually(lambda: "is ready" in log.read_text(), "worker")
        yield started
        started.stop()
        print(started.logs())


def parquet(first: int, count: int) -> bytes:
    texts = [f"{first + n} is its number. {text}" for n, text in enumerate(sentences(count))]
    table = pa.table({"key": range(first, first + count), "text": texts, "gold": texts})
    out = io.BytesIO()
    pq.write_table(table, out, row_group_size=7)
    return out.getvalue()


def results(mill: Mill, location: str, *more: str, expect: int = 0) -> list[dict[str, Any]]:
    columns = ["--id-column", "key", "--reference-column", "gold"]
    words = ["submit", location, "--model", "lead-1", *columns, "--shard-size", "5", *more]
    job_id = mill.say(*words, "-q", "--wait", expect=expect).stdout.strip()
    with mill.client() as client:
        return list(client.job(job_id).results())


def test_a_pattern_of_parquet_files(running: Mill, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.parquet").write_bytes(parquet(20 * number, 20))
    rows = results(running, f"{tmp_path}/*.parquet")
    assert [row["index"] for row in rows] == list(range(60))
    assert [row["id"] for row in rows] == [str(n) for n in range(60)]
    assert [row["summary"] for row in rows] == [f"{n} is its number." for n in range(60)]
    assert all(row["reference"].startswith(row["summary"]) for row in rows)
    assert results(running, str(tmp_path)) == rows


def test_a_bucket(running: Mill, store: Store) -> None:
    for number in range(2):
        store.put(f"night/{number}.parquet", parquet(20 * number, 20))
    rows = results(running, "s3://corpus/night/*.parquet")
    assert [row["summary"] for row in rows] == [f"{n} is its number." for n in range(40)]
    last = json.loads(running.say("ls", "--limit", "1", "--json").stdout)[0]["source"]
    assert last == {
        "kind": "parquet",
        "pattern": "s3://corpus/night/*.parquet",
        "files": 2,
        "columns": {"text": "text", "id": "key", "reference": "gold"},
        "guessed": ["text"],
    }
    assert s3.SECRET not in running.log("worker").read_text()

"""The same documents in every form that they may come in give the same rows."""

import csv
import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest

from jobs.services import Endpoints
from producer.client import Client
from tests import hub, hub_data
from tests.conftest import mill_of_its_own
from tests.hub import History
from tests.mill import Mill, eventually, wait
from tests.models import tiny_bart

SUBMIT = """
import json, sys, gistmill
for location, options in json.loads(sys.argv[1]):
    print(gistmill.submit(location, **options).id)
"""
TEXTS = (
    'The river rose overnight. The old bridge, built in 1871, was closed. "Nobody was hurt," '
    "said the mayor. Engineers will inspect it on Monday.",
    "Große Mühlen mahlen langsam. Sie mahlen aber klein. 水は低きに流れる。 Nobody waits.",
    "A first paragraph, with a comma; and a semicolon.\n\nA second one begins here. It goes on.\n",
    "Short.",
    "A worker leases a shard, reads its documents, and stores one summary for each. Nothing is "
    "lost. Nothing is done twice. It ends at dawn. Everybody goes home.",
)
ROWS = [
    {"id": f"doc-{n:02}", "text": f"{text} This was number {n}.", "summary": f"It is {n}, “so”."}
    for n, text in enumerate(TEXTS * 3)
]


@pytest.fixture(scope="module")
def hub_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    made = tmp_path_factory.mktemp("repositories")
    for name, rows in (("00000", ROWS[:9]), ("00001", ROWS[9:])):
        hub_data.parquet(made / f"parquet/data/test-{name}-of-00002.parquet", rows)
    hub_data.parquet(made / "parquet/data/train-00000-of-00001.parquet", ROWS[:2])
    hub_data.jsonl(made / "lines/test.jsonl", ROWS)
    hub_data.text(made / "script/script.py", "raise SystemExit('it was run')\n")
    hub_data.parquet(made / "converted/default/test/0000.parquet", ROWS)
    repositories: dict[str, Path | History] = {
        "datasets/o/parquet": made / "parquet",
        "datasets/o/lines": made / "lines",
        "datasets/o/script": History(made / "script", converted=made / "converted"),
    }
    with hub.serve(repositories) as url:
        yield url


@pytest.fixture(scope="module")
def mill(
    endpoints: Endpoints, migrated: str, hub_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mill]:
    """A mill whose worker knows the hub."""
    folder = tmp_path_factory.mktemp("mill")
    with mill_of_its_own(endpoints, migrated, folder) as configured:
        started = Mill(configured, folder)
        started.dispatcher()
        started.worker(**hub.environment(hub_url, folder / "cache"))
        log = started.log("worker")
        eventually(lambda: "is ready" in log.read_text(), "worker")
        yield started
        started.stop()
        print(started.logs())


def forms(folder: Path) -> dict[str, Any]:
    """What can be submitted here, by what it is."""
    lines = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
    (folder / "a.jsonl").write_bytes(lines)
    (folder / "a.jsonl.gz").write_bytes(gzip.compress(lines))
    with pa.CompressedOutputStream(str(folder / "a.jsonl.zst"), "zstd") as file:
        file.write(lines)
    with (folder / "a.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ROWS[0])
        writer.writeheader()
        writer.writerows(ROWS)
    for name, rows in (("a", ROWS[:6]), ("b", ROWS[6:])):
        hub_data.parquet(folder / f"parquet/{name}.parquet", rows)
    dataset = datasets.Dataset.from_list(ROWS)
    dataset.save_to_disk(str(folder / "arrow"))
    for row in ROWS:
        hub_data.text(folder / f"text/{row['id']}.txt", row["text"])
    names = ("a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.csv", "parquet", "arrow", "text")
    return {**{name: folder / name for name in names}, "Dataset": dataset}


def test_twins(mill: Mill, hub_url: str, tmp_path: Path) -> None:
    models = ["lead-3", str(tiny_bart(tmp_path / "model"))]
    with mill.client() as client:
        given = forms(tmp_path)
        of_hub = submitted_to(hub_url, mill, tmp_path, models)
        for model in models:
            found = {
                name: client.submit(form, model=model, shard_size=4).id
                for name, form in given.items()
            }
            found |= of_hub[model]
            rows = {name: rows_of(client, job_id) for name, job_id in found.items()}
            wanted = rows["a.jsonl"]
            assert [row["id"] for row in wanted] == [row["id"] for row in ROWS]
            assert all(row["summary"] for row in wanted)
            rows["text"] = [
                {**row, "reference": each["summary"]}
                for row, each in zip(rows["text"], ROWS, strict=True)
                if row["reference"] is None
            ]
            for name, those in rows.items():
                assert those == wanted, name


def submitted_to(
    url: str, mill: Mill, folder: Path, models: list[str]
) -> dict[str, dict[str, str]]:
    """Datasets of the hub, in a process that knows it; job ids by model and location."""
    of_hub = {
        "o/parquet": {"split": "test"},
        "o/lines": {},
        "o/script": {},
        "hf://datasets/o/parquet/data/test-*.parquet": {},
    }
    asked = [
        (name, {**options, "model": model, "shard_size": 4})
        for model in models
        for name, options in of_hub.items()
    ]
    done = subprocess.run(
        [sys.executable, "-P", "-c", SUBMIT, json.dumps(asked)],
        env={**mill.environment(), **hub.environment(url, folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ids = iter(done.stdout.split())
    return {model: {name: next(ids) for name in of_hub} for model in models}


def rows_of(client: Client, job_id: str) -> list[dict[str, Any]]:
    job = client.job(job_id)
    assert wait(job) == "completed", job.status()
    return list(job.results())

"""The same documents, however they are given, through a mill that runs."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest

from jobs.errors import UsageError
from tests.mill import Mill, sentences, wait

ROWS: list[dict[str, Any]] = [
    {"id": f"n{number:03}", "text": text, "summary": f'"S", {number}.'}
    for number, text in enumerate(sentences(60))
]


def rows_of(running: Mill, *words: str, stdin: str = "") -> list[dict[str, Any]]:
    said = running.say("submit", *words, "--model", "lead-2", "-q", "--wait", stdin=stdin)
    with running.client() as client:
        return list(client.job(said.stdout.strip()).results())


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("twins")
    (folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    for name, delimiter in (("in.csv", ","), ("in.tsv", "\t")):
        with (folder / name).open("w", newline="") as file:
            writer = csv.DictWriter(file, list(ROWS[0]), delimiter=delimiter)
            writer.writeheader()
            writer.writerows(ROWS)
    datasets.Dataset.from_list(ROWS).save_to_disk(folder / "saved", num_shards=3)
    (folder / "texts").mkdir()
    for row in ROWS:
        (folder / "texts" / f"{row['id']}.txt").write_text(row["text"])
    return folder


@pytest.fixture(scope="module")
def expected(running: Mill, twins: Path) -> list[dict[str, Any]]:
    rows = rows_of(running, str(twins / "in.jsonl"))
    assert [(row["id"], row["reference"]) for row in rows] == [
        (row["id"], row["summary"]) for row in ROWS
    ]
    return rows


@pytest.mark.parametrize("name", ["in.csv", "in.tsv", "saved"])
def test_files(running: Mill, twins: Path, expected: list[dict[str, Any]], name: str) -> None:
    assert rows_of(running, str(twins / name), "--shard-size", "7") == expected


def test_text_files(running: Mill, twins: Path, expected: list[dict[str, Any]]) -> None:
    """They have no place for a reference."""
    rows = rows_of(running, str(twins / "texts"), "--shard-size", "7")
    assert rows == [{**row, "reference": None} for row in expected]


def test_standard_input(running: Mill, twins: Path, expected: list[dict[str, Any]]) -> None:
    lines = (twins / "in.jsonl").read_text()
    assert rows_of(running, "-", stdin=lines) == expected
    columns = running.say("submit", "-", "--model", "lead-2", stdin="text,id\nx,1\n", expect=2)
    assert (
        "(--lines is for plain text): none of its first lines can be read: not JSON"
        in columns.stderr
    )


def streamed() -> Iterator[dict[str, Any]]:
    yield from ROWS


def test_from_python(running: Mill, twins: Path, expected: list[dict[str, Any]]) -> None:
    """None but a list goes to SQL, and the copies go with their jobs."""
    lying = datasets.load_from_disk(twins / "saved")
    given: dict[str, Any] = {
        "lying": lying,
        "in memory": datasets.Dataset.from_list(ROWS),
        "several splits": datasets.DatasetDict(train=lying, test=lying.select([0])),
        "a stream": datasets.IterableDataset.from_generator(streamed),
        "a list": ROWS,
    }
    with running.client() as client:
        for what, documents in given.items():
            split = "train" if what == "several splits" else None
            job = client.submit(documents, model="lead-2", shard_size=9, split=split)
            assert job.wait(60).status == "completed", what
            assert list(job.results()) == expected, what
            inline = job.status().source["kind"] == "inline"
            assert inline == (what == "a list"), what
        again = [
            client.submit(given["in memory"], model="lead-2", idempotency_key="k") for _ in range(2)
        ]
        assert [job.new for job in again] == [True, False]
        again[0].wait(60)
        copies = running.settings.home / "datasets"
        assert len(list(copies.glob("*/*/*.arrow"))) == 3 + 1 + 1
        client.purge(0)
        assert list(copies.glob("*/*/*.arrow")) == []
        assert len(lying) == len(ROWS)


def test_a_dry_run_shows_the_columns(running: Mill, twins: Path) -> None:
    words = ["submit", str(twins / "in.csv"), "--model", "lead-2", "--dry-run"]
    shown = running.say(*words, "--id-column", "").stdout
    assert "columns: text 'text' (guessed), reference 'summary' (guessed)" in shown
    source = json.loads(running.say(*words, "--text-column", "summary", "--json").stdout)["source"]
    assert source["columns"] == {"text": "summary", "id": "id", "reference": None}
    assert source["guessed"] == ["id"]


def test_what_is_said_of_documents_that_are_none_of_that(running: Mill, twins: Path) -> None:
    for words, says in (
        (["--split", "train"], "--split is not for standard input"),
        (["--revision", "main"], "--revision is not for standard input"),
        (["--format", "csv"], "--format is not for standard input, which is JSON lines"),
    ):
        said = running.say("submit", "-", "--model", "lead-2", *words, stdin="{}", expect=2)
        assert says in said.stderr
    with running.client() as client:
        with pytest.raises(UsageError, match="are for datasets, not for documents"):
            client.submit(["A text."], model="lead-2", split="train")
        with pytest.raises(UsageError, match="are for datasets of the hub"):
            client.submit(datasets.load_from_disk(twins / "saved"), model="lead-2", config="x")


def test_mappings_with_keys_that_are_no_names(running: Mill) -> None:
    with running.client() as client:
        job = client.submit([{1: "x", "text": "One. Two."}], model="lead-1")  # type: ignore[dict-item]
        assert wait(job) == "completed"


def test_a_typo_is_told_at_once(running: Mill, twins: Path) -> None:
    words = ["submit", str(twins / "in.tsv"), "--model", "lead-2", "--reference-column", "sumary"]
    assert "did you mean 'summary'?" in running.say(*words, expect=2).stderr

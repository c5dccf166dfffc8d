"""The source given back with the summaries beside it: in every format, and as a dataset."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import fsspec
import pyarrow.parquet
import pytest

from jobs.errors import NotFound, UsageError
from jobs.sources import Sources
from producer.client import Client
from producer.job import Job
from tests.mill import Mill, sentences, wait, write_jsonl

GIVEN: list[dict[str, Any]] = [
    {"text": "One. Two. Three.", "summary": "one", "year": 2000, "tags": ["a", "b"], "mixed": 1},
    {"text": 'Uno, "due".\nTre.', "summary": None, "year": 2000.5, "mixed": "x", "of": {}},
    {"text": " ", "summary": "nothing", "meta": {"by": "Ä. 🚆", "n": None}},
    {"summary": "no text", "year": None, "half": "\ud83d"},
]
EMPTY = "empty_document: line 3: empty"
MISSING = "missing_text: line 4: no column 'text'; choose one with --text-column"
SUMMARIES = ["One.", 'Uno, "due".', None, None]
ERRORS = [None, None, EMPTY, MISSING]


@pytest.fixture(scope="module")
def client(running: Mill) -> Iterator[Client]:
    with running.client() as opened:
        yield opened


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_jsonl(tmp_path_factory.mktemp("given") / "papers.jsonl", GIVEN)


@pytest.fixture(scope="module")
def job(client: Client, path: Path) -> Job:
    made = client.submit(path, model="lead-1", text_column="text", reference_column="summary")
    assert wait(made) == "completed"
    return made


def test_json_lines(running: Mill, job: Job, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    said = running.say("results", job.id, "--join", "-o", str(out)).stderr
    assert "summaries are in the column generated_summary" in said
    beside = zip(SUMMARIES, ERRORS, strict=True)
    expected = [
        {**row, "generated_summary": summary, "generated_summary_error": error}
        for row, (summary, error) in zip(GIVEN, beside, strict=True)
    ]
    assert [json.loads(line) for line in out.read_text().splitlines()] == expected
    assert list(job.results(join=True)) == expected


def test_parquet_has_types(job: Job, tmp_path: Path) -> None:
    assert job.save(tmp_path / "out.parquet", join=True, summary_column="short") == len(GIVEN)
    table = pyarrow.parquet.read_table(tmp_path / "out.parquet")
    assert {field.name: str(field.type) for field in table.schema} == {
        "text": "string",
        "summary": "string",
        "year": "double",
        "tags": "list<element: string>",
        "mixed": "string",
        "of": "string",
        "meta": "struct<by: string, n: null>",
        "half": "string",
        "short": "string",
        "short_error": "string",
    }
    found = table.to_pydict()
    assert (found["short"], found["short_error"]) == (SUMMARIES, ERRORS)
    assert found["text"] == [row.get("text") for row in GIVEN]
    assert (found["mixed"], found["of"]) == (["1", '"x"', None, None], [None, "{}", None, None])
    assert found["half"][3] == "\N{REPLACEMENT CHARACTER}"


def test_csv(job: Job, tmp_path: Path) -> None:
    job.save(tmp_path / "out.csv", join=True)
    read = csv.DictReader(io.StringIO((tmp_path / "out.csv").read_bytes().decode(), newline=""))
    first, second, third, _ = list(read)
    assert (first["tags"], first["year"], first["mixed"]) == ('["a", "b"]', "2000", "1")
    assert (second["text"], second["generated_summary"]) == (GIVEN[1]["text"], 'Uno, "due".')
    assert (json.loads(third["meta"]), third["generated_summary_error"]) == (
        GIVEN[2]["meta"],
        EMPTY,
    )


def test_a_dataset(running: Mill, job: Job, tmp_path: Path) -> None:
    made = job.to_dataset()
    job.save(tmp_path / "out.parquet", join=True)
    table = pyarrow.parquet.read_table(tmp_path / "out.parquet")
    assert made.to_dict() == table.to_pydict()
    assert made.features == datasets.Features.from_arrow_schema(table.schema)
    [file] = made.cache_files
    assert Path(file["filename"]).parent == running.settings.home / "results"
    assert made.select([1])["generated_summary"] == ['Uno, "due".']
    plain = job.to_dataset(join=False)
    assert plain.to_list() == list(job.results())


def test_inline_documents(client: Client) -> None:
    given: list[dict[str, Any]] = [
        {"id": 7, "text": "One. Two.", "gold": "one", "other": 1},
        {"text": ""},
    ]
    job = client.submit(
        given, model="lead-1", text_column="text", id_column="id", reference_column="gold"
    )
    assert wait(job) == "completed"
    first, second = job.results(join=True)
    own = {"text": "One. Two.", "id": "7", "reference": "one"}
    assert first == {**own, "summary": "One.", "summary_error": None}
    assert second["summary_error"] == "empty_document: document 1: empty"


def test_a_url(running: Mill, job: Job) -> None:
    url = "memory://bucket/out.parquet"
    said = running.say("results", job.id, "--join", "--to", url).stderr
    assert f"{url}: 4 rows of parquet" in said
    with fsspec.open(url) as file:
        assert pyarrow.parquet.read_table(file).num_rows == len(GIVEN)
    assert "pip install" in running.say("results", job.id, "-o", "gs://b/o.csv", expect=2).stderr
    refused = running.say("results", job.id, "-o", "hf://datasets/me/x/o.csv", expect=2)
    assert "--push-to-hub" in refused.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--join", "--summary-column", "year"], "the source has a column year; name another"),
        (["--summary-column", "short"], "add --join"),
        (["--private"], "add --push-to-hub"),
        (["--push-to-hub", "me/papers", "-o", "x.csv"], "leave out -o"),
        (["--join", "--format", "parquet"], "-o out.parquet"),
        (["--to", "s3://bucket/out.xlsx"], "choose one of jsonl"),
    ],
)
def test_what_makes_no_sense(running: Mill, job: Job, words: list[str], says: str) -> None:
    assert says in running.say("results", job.id, *words, expect=2).stderr


def test_a_source_that_changed_or_went(running: Mill, client: Client, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "papers.jsonl", GIVEN)
    job = client.submit(path, model="lead-1", text_column="text")
    assert wait(job) == "completed"
    out = tmp_path / "out.parquet"
    out.write_text("before")
    path.write_text(path.read_text() + "\n")
    said = running.say("results", job.id, "--join", "-o", str(out), expect=5).stderr
    assert said.count("\n") == 1
    assert "papers.jsonl changed after it was submitted" in said
    path.unlink()
    with pytest.raises(NotFound, match="No such file"):
        job.to_dataset()
    assert out.read_text() == "before"
    assert len(list(job.results())) == len(GIVEN)


def test_a_column_that_comes_late(client: Client, tmp_path: Path) -> None:
    """All columns are known where the format needs them; lines go out before that."""
    rows = [{"text": text} for text in sentences(3)] + [{"text": "x.", "summary": "mine"}]
    path = write_jsonl(tmp_path / "late.jsonl", rows)
    job = client.submit(path, model="lead-1", text_column="text", shard_size=2)
    assert wait(job) == "completed"
    with pytest.raises(UsageError, match="document 3 has a column 'summary' of its own"):
        list(job.results(join=True))
    assert job.to_dataset()["summary"][:] == [None, None, None, "mine"]


def test_a_shard_at_a_time(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flat memory: a shard is read when its turn comes, once for each pass."""
    path = write_jsonl(tmp_path / "many.jsonl", [{"text": text} for text in sentences(60)])
    job = client.submit(path, model="lead-1", text_column="text", shard_size=10)
    assert wait(job) == "completed"
    read: list[int] = []
    rows_of = Sources.rows

    def counted(self: Sources, extent: Any) -> list[dict[str, Any]]:
        rows = rows_of(self, extent)
        read.append(len(rows))
        return rows

    monkeypatch.setattr(Sources, "rows", counted)
    rows = job.results(join=True)
    next(rows)
    assert read == [10, 10]  # the first one a second time: its columns name the new one
    assert len(list(rows)) == 59
    assert read == [10] * 7
    read.clear()
    assert job.save(tmp_path / "out.csv", join=True) == 60
    assert read == [10] * 12

"""The line that makes a job again, read by the command line's own parser."""

import shlex
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.columns import Asked as Columns
from jobs.job import NewJob
from jobs.parameters import Parameters
from jobs.sources.asked import Asked
from jobs.states import JobStatus
from jobs.store.jobs import JobRecord
from jobs.windows import RunWindow
from producer.cli import submit
from producer.reproduction import Reproduction, reproduction
from producer.submit import Request

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
COMMIT = "0123456789abcdef0123456789abcdef01234567"
COLUMNS = {"text": "it's text", "id": None, "reference": "human $summary"}
NAMED = Columns("it's text", "", "human $summary")
FILE = {"kind": "jsonl", "path": "/data/some papers.jsonl", "columns": COLUMNS}

PLAIN = Request(model="lead-3")
FULL = Request(
    model="facebook/bart-large-cnn",
    name='papers of; rm -rf $HOME `date` "quoted"',
    engine="native",
    dtype="float32",
    prompt="Say it's\nso: {text}",
    parameters=Parameters(
        max_input_tokens=900,
        long_documents="map-reduce",
        num_beams=4,
        min_length=10,
        max_length=60,
        length_penalty=-1.5,
        no_repeat_ngram_size=3,
        seed=7,
        generate={"do_sample": True, "top_k": 5, "early_stopping": "never", "eos_token_id": [1, 2]},
    ),
    shard_size=100,
    labels={"user": "O'Neil", "night run": "a=b"},
    priority=-5,
    window=RunWindow.parse("22:00-07:00 Europe/Berlin"),
    deadline=NOW + timedelta(hours=8),
    fair_by="user",
    max_error_rate=0.2,
    reuse=False,
    dry_run=True,
)


def record(request: Request, source: dict[str, Any], **more: Any) -> JobRecord:
    new = request.new_job(source)
    known = {name: getattr(new, name) for name in NewJob.__dataclass_fields__}
    fields = dict.fromkeys(JobRecord.__dataclass_fields__)
    of_a_job = {name: value for name, value in known.items() if name in fields}
    return JobRecord(**{**fields, **of_a_job, "status": JobStatus.COMPLETED, **more})


def parsed(found: Reproduction) -> tuple[str, Request, Asked]:
    program, command, *words = shlex.split(found.line)
    assert (program, command) == ("gistmill", "submit")
    given = submit.command.make_context("submit", words).params
    (source,) = given.pop("sources")
    return source, submit._request(given), submit._asked(given)


@pytest.mark.parametrize("request_", [PLAIN, FULL], ids=["plain", "full"])
def test_the_line_asks_for_the_same(request_: Request) -> None:
    source, request, asked = parsed(reproduction(record(request_, FILE), NOW))
    assert request == request_
    assert (source, asked.columns) == ("/data/some papers.jsonl", NAMED)


@pytest.mark.parametrize(
    ("source", "location", "asked"),
    [
        (
            {"kind": "jsonl", "pattern": "/data/*.txt", "path": "/data/a.txt", "files": 2},
            "/data/*.txt",
            Asked(format="jsonl"),
        ),
        (
            {"kind": "parquet", "url": "s3://corpus/a b.parquet"},
            "s3://corpus/a b.parquet",
            Asked(),
        ),
        (
            {"kind": "arrow", "pattern": "/saved", "path": "/saved/test/0.arrow", "split": "test"},
            "/saved",
            Asked(format="arrow", split="test"),
        ),
        (
            {
                "kind": "parquet",
                "dataset": "EdinburghNLP/xsum",
                "config": "default",
                "split": "test[:10%]",
                "revision": "main",
                "commit": COMMIT,
                "hub_file": "data/test.parquet",
                "columns": COLUMNS,
            },
            "EdinburghNLP/xsum",
            Asked(NAMED, config="default", split="test[:10%]", revision=COMMIT),
        ),
        (
            {"kind": "jsonl", "dataset": "org/set", "commit": COMMIT, "hub_file": "a/b.jsonl"},
            f"hf://datasets/org/set@{COMMIT}/a/b.jsonl",
            Asked(),
        ),
        ({"kind": "inline", "columns": COLUMNS}, "-", Asked(NAMED)),
        (
            {
                "kind": "csv",
                "path": "/srv/uploads/file-a.csv",
                "upload": {"id": "file-a", "name": "my papers.csv"},
            },
            "my papers.csv",
            Asked(),
        ),
    ],
    ids=["pattern", "url", "saved", "split", "file of the hub", "inline", "upload"],
)
def test_of_the_same_documents(source: dict[str, Any], location: str, asked: Asked) -> None:
    assert parsed(reproduction(record(PLAIN, source), NOW)) == (location, PLAIN, asked)


def test_what_no_line_says_is_noted() -> None:
    given = reproduction(record(PLAIN, {"kind": "inline"}), NOW)
    assert given.line == "gistmill submit - --model lead-3 --lines"
    assert "given by hand" in given.notes[0]
    late = record(replace(FULL, deadline=NOW), FILE)
    found = reproduction(late, NOW + timedelta(days=1))
    assert "--deadline" not in found.line
    assert any("deadline" in note for note in found.notes)


def test_a_model_of_the_hub_is_pinned() -> None:
    moving = replace(PLAIN, model="org/model@main")
    _, request, _ = parsed(reproduction(record(moving, FILE, model_revision=COMMIT), NOW))
    assert request.model == f"org/model@{COMMIT}"
    folder = reproduction(record(PLAIN, FILE, model="/models/t5", model_revision="abc"), NOW)
    assert "--model /models/t5" in folder.line

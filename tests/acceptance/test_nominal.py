"""The main job as its users do it: real processes, from submitting to reading the summaries."""

import json
from pathlib import Path

import datasets
import pytest

import gistmill
from tests.mill import Mill, sentences, wait, write_jsonl
from tests.models import tiny_bart


def test_a_file_becomes_summaries(mill: Mill, tmp_path: Path) -> None:
    rows = [{"text": text, "key": n, "gold": f"r{n}"} for n, text in enumerate(sentences(20))]
    source = write_jsonl(tmp_path / "documents.jsonl", rows)
    mill.dispatcher()
    mill.worker()

    submitted = mill.command(
        *("submit", str(source), "--model", "lead-2", "--name", "nightly", "--shard-size", "6"),
        *("--id-column", "key", "--reference-column", "gold", "--wait", "--json"),
    )
    job = json.loads(submitted.stdout)
    assert job["counts"]["total"] == 20

    status = json.loads(mill.command("status", job["id"][:9], "--json").stdout)
    assert status["status"] == "completed"
    assert status["counts"] == {
        "total": 20,
        "completed": 20,
        "failed": 0,
        "pending": 0,
        "reused": 0,
    }
    assert status["engine"] == "lead"
    assert status["model_revision"]
    assert "nightly" in mill.command("ls").stdout

    printed = [json.loads(line) for line in mill.command("results", job["id"]).stdout.splitlines()]
    assert [row["index"] for row in printed] == list(range(20))
    assert printed[3] == {
        "index": 3,
        "id": "3",
        "summary": "Document 3 begins. It has a second sentence.",
        "input_tokens": 16,
        "output_tokens": 8,
        "truncated": False,
        "finish_reason": "stop",
        "depth": 0,
        "spans": None,
        "error": None,
        "reference": "r3",
    }
    out = tmp_path / "out.jsonl"
    mill.command("results", job["id"], "-o", str(out))
    assert [json.loads(line) for line in out.read_text().splitlines()] == printed
    assert list(tmp_path.glob(".out*")) == []


def test_standard_input_with_bad_lines(mill: Mill) -> None:
    mill.dispatcher()
    mill.worker()
    lines = ['{"text": "One. Two."}', "", "no json", '{"txt": "x"}', '{"text": 3}', '{"text": " "}']
    ended = mill.command("submit", "-", "--model", "lead-1", "-q", stdin="\n".join(lines))
    job_id = ended.stdout.strip()
    mill.command("wait", job_id, expect=3)
    rows = [json.loads(line) for line in mill.command("results", job_id).stdout.splitlines()]
    assert [row["error"] and row["error"]["code"] for row in rows] == [
        None,
        "invalid_json",
        "missing_text",
        "text_not_string",
        "empty_document",
    ]
    assert rows[1]["error"]["message"].startswith("line 3: not JSON")


def test_plain_lines(mill: Mill) -> None:
    mill.dispatcher()
    mill.worker()
    ended = mill.command(
        "submit", "-", "--lines", "--model", "lead-1", "-q", stdin="One. Two.\n\nThree. Four.\n"
    )
    mill.command("wait", ended.stdout.strip(), "-q")
    results = mill.command("results", ended.stdout.strip()).stdout.splitlines()
    assert [json.loads(line)["summary"] for line in results] == ["One.", "Three."]


def test_from_python(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in mill.environment().items():
        monkeypatch.setenv(name, value)
    mill.dispatcher()
    mill.worker()
    of_strings = gistmill.submit(sentences(5), model="lead-1", shard_size=2)
    rows = datasets.Dataset.from_dict({"body": sentences(3), "title": ["a", "b", "c"]})
    of_rows = gistmill.submit(rows, model="lead-1", text_column="body", id_column="title")
    assert wait(of_strings) == "completed"
    assert of_strings.status().counts.completed == 5
    assert wait(of_rows) == "completed"
    assert [row["id"] for row in of_rows.results()] == ["a", "b", "c"]


def test_a_real_model_and_a_bad_one(mill: Mill, tmp_path: Path) -> None:
    """The job of a model that is not there fails with the reason, and the worker lives."""
    model = tmp_path / "bart"
    tiny_bart(model)
    mill.dispatcher()
    mill.worker()
    with mill.client() as client:
        bad = client.submit(sentences(3), model=str(tmp_path / "nowhere"))
        good = client.submit(
            sentences(12), model=str(model), num_beams=2, max_length=12, shard_size=5
        )
        assert wait(bad) == "failed"
        error = bad.status().error
        assert error is not None
        assert error["code"] == "model_unknown"
        assert wait(good) == "completed"
        status = good.status()
        assert status.engine == "native"
        assert status.dtype == "float32"
        assert status.parameters is not None
        assert status.parameters["num_beams"] == 2
        assert status.usage.output_tokens > 0
        assert len(list(good.results())) == 12


def test_several_producers_at_once(mill: Mill) -> None:
    """Two processes submit, each its own job; both are done, whole."""
    mill.dispatcher()
    mill.worker("one")
    mill.worker("two")
    source = "".join(json.dumps({"text": text}) + "\n" for text in sentences(300))
    names = ["left", "right"]
    running = [
        mill.piped(source, "submit", "-", "--model", "lead-1", "-q", "--shard-size", "16")
        for _ in names
    ]
    ids = [process.communicate(timeout=60)[0].decode().strip() for process in running]
    assert len(set(ids)) == 2
    for job_id in ids:
        mill.command("wait", job_id, "-q")
        rows = mill.command("results", job_id).stdout.splitlines()
        assert [json.loads(row)["index"] for row in rows] == list(range(300))

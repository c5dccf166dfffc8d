"""Bad input, through the front door of a mill that runs: each says what is wrong, costs what it
must and nothing else, and the worker lives."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.mill import Mill, eventually, sentences, write_jsonl
from tests.models import tiny_bart, tiny_llama


def ended(
    mill: Mill, *words: str, stdin: str = "", expect: int
) -> tuple[str, list[dict[str, Any]]]:
    """Submit and wait; the last status line, and the rows."""
    job_id = mill.say("submit", *words, "-q", stdin=stdin).stdout.strip()
    line = mill.say("wait", job_id, expect=expect).stdout
    with mill.client() as client:
        rows = list(client.job(job_id).results())
    return line, rows


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("source")
    return str(write_jsonl(folder / "in.jsonl", [{"text": text} for text in sentences(3)]))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models that can not be used, each in a folder of its name, and `good`."""
    folder = tmp_path_factory.mktemp("models")
    tiny_bart(folder / "good")
    tiny_bart(folder / "pickled")
    (folder / "pickled" / "model.safetensors").unlink()
    torch.save({}, folder / "pickled" / "pytorch_model.bin")
    tiny_bart(folder / "spoilt")
    (folder / "spoilt" / "config.json").write_text("{")
    tiny_llama(folder / "no-template", chat_template=False)
    return folder


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nowhere", "model_unknown"),
        ("pickled", "model_pickled"),
        ("spoilt", "model_unreadable"),
        ("no-template", "no_chat_template"),
    ],
)
def test_a_model_that_can_not_be_used(
    running: Mill, source: str, models: Path, name: str, says: str
) -> None:
    line, rows = ended(running, source, "--model", str(models / name), expect=1)
    assert f"{says}: " in line
    assert name in line
    assert rows == []


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--generate", "forced_eos_token_id=100000"], "forced_eos_token_id"),
        (["--max-new-tokens", "5", "--generate", "min_new_tokens=9"], "min_new_tokens"),
        (["--max-length", "4000"], "max_length"),
        (["--generate", "top_p=0.5"], "top_p"),
    ],
)
def test_what_only_the_model_can_refuse(
    running: Mill, source: str, models: Path, flags: list[str], says: str
) -> None:
    line, _ = ended(running, source, "--model", str(models / "good"), *flags, expect=1)
    assert f"bad_parameters: {says}" in line or f"bad_parameters: `{says}" in line


def test_lines_that_can_not_be_used(running: Mill, tmp_path: Path) -> None:
    """The others are done; each bad one says where it stands in the file."""
    lines = [
        b'{"text": "One. Two.", "id": 1}',
        b"",
        b"no json",
        b'{"text": "\xff"}',
        b'{"txt": "x"}',
        b'{"text": 3}',
        b'{"text": " "}',
        b'{"text": "Zero \\u0000 and \\ud800 half. Two.", "id": "\\u0000"}',
    ]
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"\n".join(lines))
    line, rows = ended(running, str(path), "--model", "lead-1", "--id-column", "id", expect=3)
    assert "2 of 7 documents done, 5 failed" in line
    found = [(row["index"], row["error"] and row["error"]["code"]) for row in rows]
    assert found == [
        (0, None),
        (1, "invalid_json"),
        (2, "invalid_utf8"),
        (3, "missing_text"),
        (4, "text_not_string"),
        (5, "empty_document"),
        (6, None),
    ]
    messages = [row["error"]["message"] for row in rows if row["error"]]
    assert [message.split(":")[0] for message in messages] == [f"line {n}" for n in range(3, 8)]
    assert rows[6]["summary"] == "Zero � and � half."
    assert rows[6]["id"] == "�"


def test_a_document_longer_than_the_model_takes(running: Mill, models: Path) -> None:
    texts = [{"text": "A long story. " * 200}, {"text": "A short story."}]
    stdin = "\n".join(map(json.dumps, texts))
    _, rows = ended(running, "-", "--model", str(models / "good"), stdin=stdin, expect=0)
    assert [row["truncated"] for row in rows] == [True, False]
    assert rows[0]["input_tokens"] == 128


def test_a_source_that_changes_while_the_job_runs(
    running: Mill, models: Path, tmp_path: Path
) -> None:
    rows = [{"text": text} for text in sentences(1000)]
    source = write_jsonl(tmp_path / "in.jsonl", rows)
    words = ["submit", str(source), "--model", str(models / "good"), "--shard-size", "4", "-q"]
    job_id = running.say(*words, "--min-length", "60", "--max-length", "60").stdout.strip()
    with running.client() as client:
        job = client.job(job_id)
        eventually(lambda: job.status().counts.completed, "the first batch")
        write_jsonl(source, [*rows, {"text": "One more."}])
        status = job.wait(60)
    assert status.error is not None
    assert (status.status, status.error["code"]) == ("failed", "source_changed")
    assert 0 < status.counts.completed < 1000, "what is done is kept"


def test_the_worker_lived(running: Mill, source: str, models: Path) -> None:
    line, rows = ended(running, source, "--model", str(models / "good"), expect=0)
    assert "3 of 3 documents done" in line
    assert all(row["summary"] for row in rows)
    assert running.log("worker").read_text().count("is ready") == 1, "it started once"

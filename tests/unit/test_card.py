"""A card says how the summaries were made, and nothing of whose machine made them."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from jobs.job import Batching
from jobs.states import JobStatus
from jobs.store.jobs import JobRecord
from producer import card_scores
from producer.card import Facts, Origin, card, command_line
from producer.card_scores import Sample, Scores

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HUB = {
    "kind": "parquet",
    "dataset": "EdinburghNLP/xsum",
    "config": "default",
    "split": "test",
    "commit": COMMIT,
    "columns": {"text": "document", "id": "id", "reference": "summary"},
}
FACTS = Facts(
    rows=11_334,
    failed=2,
    columns=["document", "summary", "id", "generated_summary", "generated_summary_error"],
    summary_column="generated_summary",
    split="test",
    scores=Scores(11_332, {"facebook/bart-large-xsum": {"ROUGE-1": 45.139, "ROUGE-2": 22.0}}),
    origin=Origin("mit", ["en"]),
)


def record(source: dict[str, Any], **more: Any) -> JobRecord:
    fields = dict.fromkeys(JobRecord.__dataclass_fields__)
    now = datetime.now(UTC)
    of_a_job: dict[str, Any] = {
        "id": "job_aaaaaaaaaaaa",
        "name": "secret name",
        "status": JobStatus.COMPLETED,
        "model": "facebook/bart-large-xsum",
        "model_revision": COMMIT,
        "engine": "native",
        "dtype": "float32",
        "labels": {"user": "alice"},
        "requested": {
            "engine": "auto",
            "dtype": "float32",
            "prompt": None,
            "parameters": {"num_beams": 6, "seed": 0, "generate": {"top_k": 4}},
        },
        "parameters": {
            "prompt": "Say | it:\n{text}",
            "seed": 0,
            "max_input_tokens": 1024,
            "generation": {"num_beams": 6},
        },
        "source": source,
        "total": 11_334,
        "created_at": now,
        "batching": Batching(),
    }
    return JobRecord(**{**fields, **of_a_job, **more})


def test_what_it_states() -> None:
    written = card(record(HUB), FACTS)
    _, front, text = written.split("---\n", 2)
    said = yaml.safe_load(front)
    assert (said["license"], said["language"]) == ("mit", ["en"])
    assert said["source_datasets"] == ["EdinburghNLP/xsum"]
    assert said["task_categories"] == ["summarization"]
    assert said["size_categories"] == ["10K<n<100K"]
    assert "gistmill" in said["tags"]
    files = [{"split": "test", "path": "data/test-*.parquet"}]
    assert said["configs"] == [{"config_name": "default", "data_files": files}]
    for line in (
        f"| source | `EdinburghNLP/xsum`, config `default`, split `test`, at commit `{COMMIT}` |",
        f"| model revision | `{COMMIT}` |",
        "| engine | native |",
        "| dtype | float32 |",
        "| prompt | `Say \\| it: {text}` |",
        "| num_beams | `6` |",
        "| documents | 11,334 |",
        "| summaries | 11,332 |",
        "| failed | 2 |",
        "| facebook/bart-large-xsum | 45.14 | 22.00 |",
        "- `generated_summary`: the summary; null where the document failed",
    ):
        assert line in text.splitlines()


def test_the_command() -> None:
    assert command_line(record(HUB)) == (
        "gistmill submit EdinburghNLP/xsum --model facebook/bart-large-xsum --config default "
        f"--split test --revision {COMMIT} --text-column document --id-column id "
        "--reference-column summary --dtype float32 --num-beams 6 --generate top_k=4"
    )


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ({"path": "/home/alice/my papers.jsonl"}, "my papers.jsonl"),
        ({"path": "/home/alice/in/a.parquet", "pattern": "/home/alice/in/*.parquet"}, "*.parquet"),
        ({"url": "https://alice:pw@host/in.csv?X-Signature=s1g"}, "https://…host/in.csv…"),
    ],
)
def test_nothing_of_the_machine(source: dict[str, Any], name: str) -> None:
    job = record({"kind": "jsonl", "columns": {"text": "text"}, **source})
    job = replace(job, model="/home/alice/models/mine")
    written = card(job, replace(FACTS, scores=None))
    assert f"# Summaries of {name}\n" in written
    assert "`mine`" in written
    for secret in ("alice", "home", "pw@", "s1g", "secret", "job_"):
        assert secret not in written


def test_nothing_ends_the_markdown_that_it_stands_in() -> None:
    source = {"kind": "jsonl", "path": "/x/a`b\n# c: |.jsonl", "columns": {"text": "te\nxt"}}
    job = record(source, requested={"prompt": "Say:\n```\n{text}\n```"})
    written = card(job, replace(FACTS, columns=["te\nxt", "generated_summary"]))
    _, front, text = written.split("---\n", 2)
    assert yaml.safe_load(front)["pretty_name"] == "Summaries of a`b\n# c: |.jsonl"
    assert "| source | `a'b # c: \\|.jsonl` |" in text
    assert "- `te xt`" in text
    assert text.endswith(f"````\n{command_line(job)}\n````\n")


def test_files_of_a_repository() -> None:
    source = {"kind": "jsonl", "dataset": "o/papers", "commit": COMMIT, "hub_file": "a/b.jsonl"}
    url = f"hf://datasets/o/papers@{COMMIT}/a/b.jsonl"
    assert f"files `{url}`" in card(record(source), FACTS)
    assert command_line(record(source)).startswith(f"gistmill submit {url} --model")


def test_a_job_under_way() -> None:
    job = record({"kind": "inline"}, engine=None, model_revision=None, dtype=None, parameters=None)
    written = card(job, replace(FACTS, rows=334, failed=0, scores=None))
    assert "| not in it | 11,000, which were not done when it was made |" in written
    assert "gistmill submit - --model" in written
    assert yaml.safe_load(written.split("---\n")[1])["size_categories"] == ["n<1K"]


def test_scores_of_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(card_scores, "_MOST", 10)
    sample = Sample(HUB, "generated_summary", 20)
    for n in range(20):
        row = {"document": "One two. Three.", "summary": "One two." if n < 18 else " "}
        sample.add({**row, "generated_summary": None if n < 2 else "Three two."})
    scores = sample.scores("ours")
    assert scores
    assert scores.documents == 8
    assert scores.of["ours"]["ROUGE-1"] == pytest.approx(50)
    assert scores.of["lead-3 (the first sentences)"]["ROUGE-1"] == pytest.approx(80)
    assert Sample({"kind": "inline"}, "summary", 1).scores("ours") is None

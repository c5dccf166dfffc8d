"""Documents longer than the model reads, through the front door of a mill that runs."""

import json
from pathlib import Path

import pytest
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from jobs.parameters import Effective
from tests.mill import Mill, write_jsonl
from tests.models import documents, tiny_bart
from worker import long_documents, models

LIMIT = 60


@pytest.fixture(scope="module")
def bart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bart(tmp_path_factory.mktemp("model") / "bart")


def test_long_documents_by_hand(running: Mill, bart: Path) -> None:
    """What `generate` makes of the parts, one by one, and of what they come to."""
    texts = [f"{text} The end." for text in documents(12, longest=300)]
    stdin = "\n".join(json.dumps({"text": text}) for text in texts)
    words = [*("--model", str(bart)), *("--max-input-tokens", str(LIMIT))]
    words += [*("--max-length", "10"), *("--long-documents", "map-reduce"), "--engine", "auto"]
    job_id = running.say("submit", "-", *words, "-q", stdin=stdin).stdout.strip()
    running.say("wait", job_id)
    with running.client() as client:
        rows = list(client.job(job_id).results())
    assert {row["depth"] for row in rows} == {0, 1, 2}
    assert not any(row["truncated"] for row in rows)
    by_hand = Hand(bart)
    for text, row in zip(texts, rows, strict=True):
        summary = by_hand.summary(text, row["spans"], row["depth"])
        assert (row["summary"], row["input_tokens"]) == (summary, by_hand.read), row["index"]


class Hand:
    """The loop of the textbook, one text at a time. Where a text of summaries is cut is asked of
    what is under test, where a document is, of its row."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForSeq2SeqLM.from_pretrained(folder, dtype="float32")
        resolved = models.resolve(str(folder), folder)
        self.engine = models.load(resolved, "transformers", "float32", "cpu")
        self.read = 0

    def summary(self, text: str, spans: list[list[int]] | None, depth: int) -> str:
        self.read = 0
        effective = Effective(max_input_tokens=LIMIT, long_documents="map-reduce")
        for _ in range(depth):
            text = "\n".join(self.generate(text[start:stop]) for start, stop in spans or [])
            pieces = long_documents.pieces(self.engine, text, effective)
            spans = [[piece.start, piece.stop] for piece in pieces]
        return self.generate(text)

    def generate(self, text: str) -> str:
        inputs = self.tokenizer(text, return_tensors="pt")
        self.read += inputs["input_ids"].shape[1]
        assert inputs["input_ids"].shape[1] <= LIMIT
        output = self.model.generate(**inputs, max_length=10, min_length=5)
        return str(self.tokenizer.decode(output[0], skip_special_tokens=True)).strip()


def test_a_dry_run_says_what_becomes_of_long_documents(running: Mill, tmp_path: Path) -> None:
    long = " ".join(f"Sentence {number} has six words here." for number in range(20))
    rows = [{"text": long}, {"text": "A short story."}]
    source = write_jsonl(tmp_path / "in.jsonl", rows)
    words = ["submit", str(source), "--model", "lead-3", "--max-input-tokens", "40", "--dry-run"]
    said = {
        fate: running.say(*words, "--long-documents", fate).stdout
        for fate in ("truncate", "map-reduce", "fail")
    }
    assert "1 (50.0 %) are too long for the model and will be cut (or done" in said["truncate"]
    assert "and will be summarized in about 4 parts\n" in said["map-reduce"]
    assert "too long for the model and will fail\n" in said["fail"]
    assert "  long_documents               map-reduce               you\n" in said["map-reduce"]

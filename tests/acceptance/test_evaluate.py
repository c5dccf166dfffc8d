"""Is it any good: `gistmill evaluate` and `gistmill diff`, on jobs that a worker has done."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from rouge_score.rouge_scorer import RougeScorer

import gistmill
from producer.evaluation.rouge import METRICS
from producer.evaluation.sentences import lead, lines
from tests.mill import PATIENCE, Mill, eventually, wait, write_jsonl

ORACLE = RougeScorer(list(METRICS), use_stemmer=True)
TEXTS = [
    f"Mill {n} grinds grain. Its {n} stones are turning day and night. A miller sleeps. "
    f"In the morning {n} bags of flour stand at the door." + " Wind blew." * (n % 4)
    for n in range(24)
]
GOLD = [f"The stones of mill {n} turn while the miller sleeps. Flour is there." for n in range(24)]


def rows() -> list[dict[str, Any]]:
    """Each has an id, but not each a reference."""
    found = [
        {"id": f"doc{n}", "text": text, "human": gold}
        for n, (text, gold) in enumerate(zip(TEXTS, GOLD, strict=True))
    ]
    found[5]["human"] = "  "
    del found[6]["human"]
    return [*found, {"id": "bad", "text": 3, "human": "x"}]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_jsonl(tmp_path / "in.jsonl", rows())


NAMED = ("--id-column", "id", "--reference-column", "human")


def done(mill: Mill, source: Path | str, *words: str, expect: int = 3) -> str:
    submitted = mill.say("submit", str(source), "-q", *words)
    job_id = submitted.stdout.strip()
    mill.say("wait", job_id, "-q", expect=expect)
    return job_id


def printed(number: float) -> str:
    return f"{number:.2f}"


def oracle(summaries: list[str], references: list[str]) -> dict[str, str]:
    scores = [
        ORACLE.score(lines(reference), lines(summary))
        for reference, summary in zip(references, summaries, strict=True)
    ]
    return {
        metric: printed(100 * fmean(each[metric].fmeasure for each in scores)) for metric in METRICS
    }


def test_scores_are_those_of_rouge_score(running: Mill, source: Path) -> None:
    job_id = done(running, source, "--model", "lead-2", *NAMED)
    found = json.loads(running.say("evaluate", job_id, "--json").stdout)
    results = [json.loads(line) for line in running.command("results", job_id).stdout.splitlines()]
    scored = [row for row in results if row["summary"] and (row["reference"] or "").strip()]
    references = [row["reference"] for row in scored]
    ours = oracle([row["summary"] for row in scored], references)
    baseline = oracle([lead(TEXTS[row["index"]]) for row in scored], references)

    rouge = found["rouge"]
    assert rouge["documents"] == len(scored) == 22
    assert {name: printed(each["mean"]) for name, each in rouge["summaries"].items()} == ours
    assert {name: printed(each["mean"]) for name, each in rouge["lead_3"].items()} == baseline
    assert (found["documents"], found["failed"], found["pending"]) == (24, 1, 0)
    assert found["without_reference"] == 2
    assert found["bootstrap"] == {"draws": 1000, "seed": 0, "confidence": 0.95}
    assert found["novel_ngrams"] == {"1": 0, "2": 0, "3": 0, "4": 0}
    assert sum(each["documents"] for each in found["lengths"]) == 24

    said = running.say("evaluate", job_id).stdout
    assert all(len(line) <= 80 for line in said.splitlines()), said
    for figure in (*ours.values(), *baseline.values()):
        assert figure in said
    assert "24 summaries; 1 failed document left out" in said
    assert "22 documents, 2 without one left out" in said


def test_what_is_odd_is_flagged(running: Mill, tmp_path: Path) -> None:
    texts = ["Again and again and again and again. X.", "\u2014. A dash.", *TEXTS[:2]]
    source = write_jsonl(tmp_path / "in.jsonl", [{"text": text} for text in texts])
    words = ("--model", "lead-1", "--max-input-tokens", "7")
    job_id = done(running, source, *words, expect=0)
    found = json.loads(running.say("evaluate", job_id, "--json", "--samples", "1").stdout)
    flags = {flag.pop("name"): flag for flag in found["flags"]}
    empty = {"index": 1, "id": None, "summary": "\u2014."}
    assert flags["empty"] == {"documents": 1, "share": 0.25, "samples": [empty]}
    assert flags["copied"]["documents"] == 3
    assert len(flags["copied"]["samples"]) == 1
    assert flags["repetitive"]["samples"][0]["index"] == 0
    assert flags["truncated"]["documents"] == 3
    assert flags["cut_off"] == {"documents": 0, "share": 0, "samples": []}


def test_references_come_from_the_source_too(running: Mill, source: Path) -> None:
    """Whatever the job was submitted with."""
    job_id = done(running, source, "--model", "lead-1", "--id-column", "id")
    said = running.say("evaluate", job_id)
    assert "ROUGE-1" not in said.stdout
    assert "no document has a reference; name a column" in said.stderr
    assert "words of a summary" in said.stdout
    with_them = running.say("evaluate", job_id, "--reference-column", "human")
    assert "22 documents, 2 without one left out" in with_them.stdout
    wrong = running.say("evaluate", job_id, "--reference-column", "golden", expect=2)
    assert "the source has 'id', 'text', 'human'" in wrong.stderr
    number = running.say("evaluate", job_id, "--reference-column", "text", expect=2)
    assert "of document 24 it is int, not a text" in number.stderr


def test_a_source_that_is_gone(running: Mill, source: Path) -> None:
    job_id = done(running, source, "--model", "lead-1", *NAMED)
    source.unlink()
    assert "--no-documents" in running.say("evaluate", job_id, expect=5).stderr
    without = json.loads(running.say("evaluate", job_id, "--no-documents", "--json").stdout)
    assert without["rouge"]["documents"] == 22
    assert without["rouge"]["lead_3"] is without["compression"] is without["novel_ngrams"] is None
    assert "copied" not in [flag["name"] for flag in without["flags"]]
    shown = running.say("evaluate", job_id, "--no-documents").stdout
    assert "ROUGE-Lsum" in shown
    assert "lead-3" not in shown


def test_nothing_to_evaluate(mill: Mill, source: Path) -> None:
    """No worker is alive: what is stored so far is nothing."""
    job_id = mill.say("submit", str(source), "--model", "lead-1", "-q").stdout.strip()
    said = mill.say("evaluate", job_id, expect=2)
    assert f"{job_id} is validating: it has no summary to evaluate" in said.stderr
    assert "has no summary to compare" in mill.say("diff", job_id, job_id, expect=2).stderr


def test_two_jobs_matched_by_id(running: Mill, source: Path, tmp_path: Path) -> None:
    """In another order, one missing, one that only the second has."""
    a = done(running, source, "--model", "lead-2", *NAMED)
    others = [{"id": "new", "text": "New. New.", "human": "x"}, *reversed(rows()[1:])]
    b = done(running, write_jsonl(tmp_path / "b.jsonl", others), "--model", "lead-3", *NAMED)
    found = json.loads(running.say("diff", a, b, "--json", "--samples", "2").stdout)
    assert found["matched_by"] == "id"
    assert (found["documents"], found["a"]["only_here"], found["b"]["only_here"]) == (23, 1, 1)
    assert (found["a"]["failed"], found["b"]["failed"], found["without_reference"]) == (1, 1, 2)
    assert found["same"] == 0
    alone = json.loads(running.say("evaluate", b, "--json").stdout)
    assert alone["documents"] == 24

    known = [n for n in range(1, 24) if n not in (5, 6)]
    golds = [GOLD[n] for n in known]
    expected = {
        "a": oracle([lead(TEXTS[n], 2) for n in known], golds),
        "b": oracle([lead(TEXTS[n], 3) for n in known], golds),
    }
    for metric, compared in found["rouge"].items():
        assert printed(compared["a"]["mean"]) == expected["a"][metric]
        assert printed(compared["b"]["mean"]) == expected["b"][metric]
        assert compared["wins"] + compared["ties"] + compared["losses"] == len(known)
    gains = [sample["difference"] for sample in found["b_ahead"]]
    assert len(gains) == 2
    assert gains == sorted(gains, reverse=True)
    assert found["b_ahead"][0]["b"].startswith(found["b_ahead"][0]["a"])

    said = running.say("diff", a, b).stdout
    assert all(len(line) <= 80 for line in said.splitlines()), said
    assert "23 documents with two summaries, matched by id" in said
    assert "left out: 1 failed, 1 not in the other" in said


def test_two_jobs_matched_by_index(running: Mill, tmp_path: Path) -> None:
    """Without ids and references, and of two sources, about which it warns."""
    texts = [{"text": row["text"]} for row in rows()]
    source = write_jsonl(tmp_path / "texts.jsonl", texts)
    a, b = (done(running, source, "--model", "lead-1") for _ in range(2))
    said = running.say("diff", a, b)
    assert "24 documents with two summaries, matched by index; 24 (100.0 %) of" in said.stdout
    assert "no document has a reference" in said.stderr
    assert "different sources" not in said.stderr
    elsewhere = write_jsonl(tmp_path / "c.jsonl", texts[:3])
    c = done(running, elsewhere, "--model", "lead-2", expect=0)
    other = running.say("diff", a, c)
    assert "least alike" in other.stdout
    assert "different sources" in other.stderr
    assert "22 not in the other" in other.stdout


def test_from_python(running: Mill, source: Path) -> None:
    with running.client() as client:
        one, two = (
            client.submit(source, model=f"lead-{n}", id_column="id", reference_column="human")
            for n in (1, 3)
        )
        assert wait(one) == wait(two) == "completed"
        told: list[int] = []
        found = two.evaluate(samples=1, progress=told.append)
        assert told[-1] == 25
        assert found.rouge
        assert found.rouge.above_lead_3
        assert found.rouge.above_lead_3["rouge1"].mean == 0
        assert found.rouge.above_lead_3["rouge1"].p == 1
        assert found.to_json()["object"] == "evaluation"
        difference = gistmill.diff(one, two)
        assert difference.documents == 24
        assert difference.to_json()["rouge"]["rougeL"]["a"]["mean"] > 0


def test_ctrl_c_ends_it_and_its_processes(mill: Mill, tmp_path: Path) -> None:
    many = [{"text": f"{TEXTS[n % 24]} {n}"} for n in range(3000)]
    source = write_jsonl(tmp_path / "many.jsonl", many)
    mill.dispatcher()
    mill.worker()
    job_id = done(mill, source, "--model", "lead-3", expect=0)
    evaluating = mill.start("evaluate", "evaluate", job_id)
    below = Path(f"/proc/{evaluating.pid}/task/{evaluating.pid}/children")
    children = eventually(lambda: below.read_text().split(), "children that measure")
    os.killpg(evaluating.pid, signal.SIGINT)
    assert evaluating.wait(PATIENCE) == 130
    assert mill.log("evaluate").read_text().strip() == ""
    eventually(lambda: not any(Path(f"/proc/{child}").exists() for child in children), "their end")


def test_scores_need_neither_models_nor_datasets() -> None:
    code = (
        "import sys\n"
        "from producer.evaluation import measures\n"
        "measures.by_name('evaluation')('A cat.', 'A cat sat.', 'Cats sit.')\n"
        "print(*sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    assert {"torch", "transformers", "datasets", "sqlalchemy"}.isdisjoint(ended.stdout.split())

"""`gistmill text`: one summary in this process, as document 0 of a job would get it."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from jobs.documents import storable
from jobs.errors import DocumentError, JobError, UsageError
from jobs.parameters import Parameters
from tests.models import documents, tiny_bart
from worker import models, text
from worker.engines import DeviceLost
from worker.engines.lead import LeadEngine


@pytest.fixture(scope="module")
def bart(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_bart(tmp_path_factory.mktemp("model") / "bart"))


def run(*words: str, stdin: str | bytes = "") -> Result:
    return CliRunner().invoke(text.command, words, input=stdin, standalone_mode=False)


def printed(*words: str) -> dict[str, Any]:
    ended = run(*words, "--json")
    assert ended.exception is None
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


@pytest.mark.parametrize("words", [["-"], []])
def test_standard_input(words: list[str]) -> None:
    ended = run(*words, "--model", "lead-2", stdin="One ü.\nTwo. Three.")
    assert (ended.return_value, ended.stdout, ended.stderr) == (0, "One ü. Two.\n", "")


def test_how_it_was_made() -> None:
    assert printed("One. Two.", "--model", "lead-1", "--seed", "7") == {
        "summary": "One.",
        "input_tokens": 2,
        "output_tokens": 1,
        "truncated": False,
        "finish_reason": "stop",
        "depth": 0,
        "spans": None,
        "model": "lead-1",
        "model_revision": "1",
        "engine": "lead",
        "dtype": None,
        "fallback": None,
        "parameters": {"max_input_tokens": None, "long_documents": "truncate", "seed": 7},
        "prompt": None,
    }


def test_a_long_text_is_cut_and_said_to_be() -> None:
    ended = run("One two three.", "--model", "lead-1", "--max-input-tokens", "2")
    assert ended.stdout == "One two\n"
    assert "its end is not among the 2 tokens read" in ended.stderr


def test_a_model_and_every_flag(bart: str) -> None:
    made = printed(
        *(documents(9)[8], "--model", bart, "--device", "cpu", "--dtype", "float32"),
        *("--engine", "transformers", "--prompt", "Short: ", "--max-input-tokens", "60"),
        *("--num-beams", "3", "--min-length", "4", "--max-length", "12", "--seed", "5"),
        *("--length-penalty", "2", "--no-repeat-ngram-size", "3"),
        *("--generate", "repetition_penalty=1.5"),
    )
    assert made["parameters"] == {
        "max_input_tokens": 60,
        "long_documents": "truncate",
        "seed": 5,
        "num_beams": 3,
        "min_length": 4,
        "max_length": 12,
        "length_penalty": 2.0,
        "no_repeat_ngram_size": 3,
        "repetition_penalty": 1.5,
        "forced_eos_token_id": 2,
    }
    assert (made["engine"], made["dtype"], made["prompt"]) == (
        "transformers",
        "float32",
        "Short: {text}",
    )
    assert 0 < made["output_tokens"] < 12
    assert len(made["model_revision"]) == 40


def test_the_same_sample_as_document_0_of_a_job(bart: str) -> None:
    document = documents(9)[8]
    sampling = {"do_sample": True, "temperature": 2.0}
    made = printed(document, "--model", bart, *_generate(sampling), "--seed", "3")
    resolved = models.resolve(bart, Path("unused"))
    effective = models.settle(resolved, Parameters(seed=3, generate=sampling), None)
    engine = models.load(resolved, made["engine"], made["dtype"], "cpu")
    ids = [each.ids for each in engine.encode([document] * 2, effective)]
    first, second = engine.generate(ids, effective, [effective.seed_of(n) for n in range(2)])
    assert [storable(summary) for summary in engine.decode([first])] == [made["summary"]]
    assert first.ids != second.ids


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([" \n ", "--model", "lead-1"], "the text is empty"),
        (["", "--model", "lead-1"], "the text is empty"),
        (["x", "--model", "lead-1", "--device", "tpu"], "cuda:N"),
        (["x", "--model", "org/name", "--device", "cuda:99"], "torch finds "),
        (["x", "--model", "lead-1", "--length-penalty", "nan"], "length_penalty: "),
        (["x", "--model", "lead-1", "--no-repeat-ngram-size", "-1"], "no_repeat_ngram_size: "),
        (["x", "--model", "lead-1", "--generate", "length_penalty=2"], "leave it out"),
    ],
)
def test_what_makes_no_sense(words: list[str], says: str) -> None:
    error = run(*words).exception
    assert isinstance(error, UsageError)
    assert says in str(error)


def test_standard_input_that_is_no_text() -> None:
    error = run("--model", "lead-1", stdin=b"a\xff").exception
    assert isinstance(error, UsageError)
    assert "not UTF-8 (byte 1)" in str(error)


def test_without_the_worker_extra(bart: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    error = run("x", "--model", bart).exception
    assert isinstance(error, UsageError)
    assert "pip install 'gistmill[worker]'" in str(error)
    assert run("One. Two.", "--model", "lead-1").stdout == "One.\n"


def test_a_model_that_is_not_there() -> None:
    error = run("x", "--model", "/nowhere").exception
    assert isinstance(error, JobError)
    assert (error.code, error.exit_code) == ("model_unknown", 1)


def test_a_text_that_the_model_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("out of memory\nand a long trace")

    monkeypatch.setattr(LeadEngine, "generate", refuse)
    error = run("x", "--model", "lead-1").exception
    assert isinstance(error, DocumentError)
    assert str(error) == "the model refuses the text: RuntimeError: out of memory"


@pytest.mark.parametrize(
    ("where", "error", "code", "says"),
    [
        (
            LeadEngine,
            DeviceLost("CUDA error"),
            "generation_failed",
            "the device is lost: CUDA error",
        ),
        (models, DeviceLost("CUDA error"), "generation_failed", "the device is lost: CUDA error"),
        (models, MemoryError(), "out_of_memory", "the model needs more memory than is free"),
    ],
)
def test_it_is_not_the_text(
    where: Any, error: Exception, code: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(where, "load" if where is models else "generate", fail)
    told = run("x", "--model", "lead-1").exception
    assert isinstance(told, DocumentError)
    assert told.code == code
    assert str(told).startswith(says)


def _generate(fields: dict[str, Any]) -> list[str]:
    words = [f"{name}={json.dumps(value)}" for name, value in fields.items()]
    return [word for each in words for word in ("--generate", each)]

"""What a job will ask of a model: the model's own files under what the user asked."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.errors import JobError
from jobs.parameters import Effective, Parameters
from tests.models import tiny_bart, tiny_llama, tiny_t5
from worker import models
from worker.generation import Kind
from worker.models import Resolved

Settle = Callable[..., Effective]

CNN = {
    "early_stopping": True,
    "length_penalty": 2.0,
    "max_length": 100,
    "min_length": 56,
    "no_repeat_ngram_size": 3,
    "num_beams": 4,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    plain, cnn = tiny_bart(root / "bart"), tiny_bart(root / "cnn")
    _write(cnn / "config.json", task_specific_params={"summarization": CNN})
    t5 = tiny_t5(root / "t5", tied=True)
    task = {"prefix": "summarize: ", "num_beams": 4, "min_length": 30, "max_length": 200}
    _write(t5 / "config.json", task_specific_params={"summarization": task})
    llama = tiny_llama(root / "llama")
    chat = {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "max_length": 512}
    _write(llama / "generation_config.json", **chat, repetition_penalty=1.1)
    return {"bart": plain, "cnn": cnn, "t5": t5, "llama": llama}


@pytest.fixture
def settle(folders: dict[str, Path]) -> Settle:
    def settled(name: str, prompt: str | None = None, **asked: Any) -> Effective:
        own = {key: asked.pop(key) for key in list(asked) if key in Parameters.model_fields}
        kind: Kind = "decoder-only" if name == "llama" else "encoder-decoder"
        resolved = Resolved(name, "0" * 40, kind, folders[name])
        return models.settle(resolved, Parameters(**own, generate=asked), prompt)

    return settled


def test_the_models_task_parameters_are_used_where_nothing_else_is_asked(settle: Settle) -> None:
    assert settle("cnn").generation == {**CNN, "forced_eos_token_id": 2}


def test_the_textbook_call_means_what_it_means_to_generate(settle: Settle) -> None:
    effective = settle("cnn", num_beams=10, min_length=5, max_length=40)
    asked = {"num_beams": 10, "min_length": 5, "max_length": 40}
    assert effective.generation == {**CNN, **asked, "forced_eos_token_id": 2}
    assert (effective.prompt, effective.max_input_tokens) == (None, 128)


def test_t5_brings_its_prefix(settle: Settle) -> None:
    effective = settle("t5")
    assert effective.prompt == "summarize: {text}"
    assert effective.generation == {"num_beams": 4, "min_length": 30, "max_length": 200}


def test_beam_parameters_of_the_model_go_with_its_beams(settle: Settle) -> None:
    generation = settle("cnn", num_beams=1).generation
    assert "early_stopping" not in generation
    assert "length_penalty" not in generation
    assert generation["no_repeat_ngram_size"] == 3


def test_a_shorter_maximum_asked_for_beats_the_models_minimum(settle: Settle) -> None:
    generation = settle("cnn", max_length=40).generation
    assert generation["max_length"] == 40
    assert "min_length" not in generation


def test_max_new_tokens_replaces_max_length(settle: Settle) -> None:
    generation = settle("cnn", max_new_tokens=80).generation
    assert generation["max_new_tokens"] == 80
    assert "max_length" not in generation
    assert generation["min_length"] == 56


def test_a_chat_model_is_greedy_and_writes_128_tokens(settle: Settle) -> None:
    effective = settle("llama")
    assert effective.generation == {"max_new_tokens": 128, "repetition_penalty": 1.1}
    assert effective.prompt == "Summarize this text in one sentence.\n\n{text}"
    assert effective.max_input_tokens == 512 - 128


def test_a_chat_models_sampling_defaults_come_back_with_sampling(settle: Settle) -> None:
    generation = settle("llama", do_sample=True, temperature=1).generation
    assert generation["do_sample"] is True
    assert generation["temperature"] == 1.0
    assert generation["top_p"] == 0.9


def test_lengths_of_a_chat_model_are_new_tokens(settle: Settle) -> None:
    effective = settle("llama", min_length=10, max_length=50)
    lengths = {"min_new_tokens": 10, "max_new_tokens": 50, "repetition_penalty": 1.1}
    assert effective.generation == lengths
    assert effective.max_input_tokens == 512 - 50


def test_whole_numbers_become_the_floats_that_the_library_wants(settle: Settle) -> None:
    value = settle("bart", repetition_penalty=2).generation["repetition_penalty"]
    assert isinstance(value, float)


@pytest.mark.parametrize(
    ("name", "prompt", "filled"),
    [
        ("bart", None, None),
        ("bart", "{text}", None),
        ("bart", "TL;DR: ", "TL;DR: {text}"),
        ("bart", "{text} TL;DR:", "{text} TL;DR:"),
        ("t5", "headline: ", "headline: {text}"),
        ("llama", "Shorten this:", "Shorten this:\n\n{text}"),
        ("llama", "Text: {text} In {one} word:", "Text: {text} In {one} word:"),
    ],
)
def test_prompts(settle: Settle, name: str, prompt: str | None, filled: str | None) -> None:
    assert settle(name, prompt).prompt == filled


@pytest.mark.parametrize(
    ("name", "asked", "bound"),
    [
        ("bart", 50, 50),
        ("bart", 5000, 128),
        ("t5", None, 96),
        ("t5", 50, 50),
        ("llama", 5000, 384),
    ],
)
def test_input_is_bounded_by_the_user_and_by_the_model(
    settle: Settle, name: str, asked: int | None, bound: int
) -> None:
    assert settle(name, max_input_tokens=asked).max_input_tokens == bound


def test_relative_positions_take_more_than_the_tokenizer_says(settle: Settle) -> None:
    assert settle("t5", max_input_tokens=1000).max_input_tokens == 1000


@pytest.mark.parametrize(
    ("name", "asked", "says"),
    [
        ("bart", {"num_beems": 3}, "did you mean num_beams?"),
        ("bart", {"lenght_penalty": 1.0}, "did you mean length_penalty?"),
        ("bart", {"xyzzy": 3}, "xyzzy: not a generation parameter that a job can set"),
        ("bart", {"num_return_sequences": 3}, "num_return_sequences: not a generation"),
        ("bart", {"return_dict_in_generate": True}, "return_dict_in_generate: "),
        ("bart", {"max_time": 3.0}, "max_time: "),
        ("bart", {"top_k": "three"}, "top_k: "),
        ("bart", {"early_stopping": "yes"}, "early_stopping: "),
        ("bart", {"do_sample": True, "temperature": 0}, "temperature: "),
        ("bart", {"temperature": 0.5}, "do_sample"),
        ("bart", {"length_penalty": 2.0}, "num_beams"),
        ("bart", {"suppress_tokens": [4000]}, "suppress_tokens: the model has "),
        ("bart", {"forced_bos_token_id": 4000}, "forced_bos_token_id: the model has "),
        ("bart", {"max_length": 300}, "max_length: the model writes at most 128"),
        ("bart", {"max_length": 1}, "max_length: "),
        ("bart", {"min_length": 40}, "min_length: 40 is above"),
        ("llama", {"min_length": 200}, "min_new_tokens: 200 is above"),
        ("llama", {"max_length": 512}, "max_new_tokens: "),
        ("llama", {"max_input_tokens": 9}, "max_input_tokens: the prompt alone takes"),
    ],
)
def test_what_makes_no_sense_names_the_field(
    settle: Settle, name: str, asked: dict[str, Any], says: str
) -> None:
    with pytest.raises(JobError) as caught:
        settle(name, **asked)
    assert caught.value.code == "bad_parameters"
    assert says in caught.value.message
    assert "\n" not in caught.value.message


def test_lead_counts_words_and_takes_nothing_else() -> None:
    lead = Resolved("lead-3", "1", "lead")
    effective = models.settle(lead, Parameters(max_input_tokens=50, seed=4), None)
    assert effective == Effective(max_input_tokens=50, seed=4)
    with pytest.raises(JobError, match="num_beams: lead-3 generates nothing"):
        models.settle(lead, Parameters(num_beams=2), None)
    with pytest.raises(JobError, match="prompt: lead-3 reads no prompt"):
        models.settle(lead, Parameters(), "Shorten: ")


def _write(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

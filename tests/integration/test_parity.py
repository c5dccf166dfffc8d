"""Batches give what one document at a time gives.

The oracle is the loop of the textbook, written here on its own: tokenizer,
`model.generate` on one document, decode. Float32, where order of summation is
all that can differ.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

from jobs.parameters import Parameters
from tests.models import documents, tiny_bart, tiny_llama, tiny_t5
from worker import batching, models
from worker.engines.transformers import TransformersEngine

DOCUMENTS = documents(32)
BART = "bart"
T5 = "t5"
T5_UNTIED = "t5-untied"
LLAMA = "llama"


@dataclass(frozen=True)
class Case:
    model: Any
    tokenizer: Any
    engine: TransformersEngine
    resolved: models.Resolved
    input_limit: int


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    root = tmp_path_factory.mktemp("models")
    return {
        BART: _case(tiny_bart(root / BART), AutoModelForSeq2SeqLM, 128),
        T5: _case(tiny_t5(root / T5, tied=True), AutoModelForSeq2SeqLM, 96),
        T5_UNTIED: _case(tiny_t5(root / T5_UNTIED, tied=False), AutoModelForSeq2SeqLM, 96),
        LLAMA: _case(tiny_llama(root / LLAMA), AutoModelForCausalLM, 512),
    }


def _case(folder: Path, auto: Any, input_limit: int) -> Case:
    resolved = models.resolve(str(folder), folder)
    loaded = models.load(resolved, "transformers", "float32", "cpu")
    assert isinstance(loaded, TransformersEngine)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return Case(auto.from_pretrained(folder), tokenizer, loaded, resolved, input_limit)


ASKED: dict[str, dict[str, Any]] = {
    "textbook": {"num_beams": 10, "min_length": 5, "max_length": 40},
    "greedy": {"max_length": 24, "min_length": 2},
    "beams": {
        "num_beams": 4,
        "max_length": 20,
        "no_repeat_ngram_size": 3,
        "length_penalty": 2.0,
        "early_stopping": True,
    },
    "penalties": {
        "max_length": 20,
        "repetition_penalty": 1.3,
        "encoder_repetition_penalty": 1.5,
        "no_repeat_ngram_size": 3,
    },
}


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED.keys())
@pytest.mark.parametrize("name", [BART, T5, T5_UNTIED])
def test_an_encoder_decoder_gives_in_batches_what_it_gives_alone(
    cases: dict[str, Case], name: str, asked: dict[str, Any]
) -> None:
    case = cases[name]

    def alone(text: str) -> tuple[str, int, int]:
        inputs = case.tokenizer(
            [text], max_length=case.input_limit, padding=True, truncation=True, return_tensors="pt"
        )
        output = case.model.generate(
            inputs["input_ids"], attention_mask=inputs["attention_mask"], **asked
        )
        summary = case.tokenizer.decode(output[0], skip_special_tokens=True).strip()
        return summary, inputs["input_ids"].shape[1], len(output[0]) - 1

    _compare(case, asked, alone)


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED.keys())
def test_a_chat_model_gives_in_batches_what_it_gives_alone(
    cases: dict[str, Case], asked: dict[str, Any]
) -> None:
    case = cases[LLAMA]
    renamed = {"min_length": "min_new_tokens", "max_length": "max_new_tokens"}
    options = {renamed.get(name, name): value for name, value in asked.items()}

    def alone(text: str) -> tuple[str, int, int]:
        content = f"Summarize this text in one sentence.\n\n{text}"
        inputs = case.tokenizer.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
        )
        output = case.model.generate(**inputs, **options)
        start = inputs["input_ids"].shape[1]
        summary = case.tokenizer.decode(output[0][start:], skip_special_tokens=True).strip()
        return summary, start, len(output[0]) - start

    _compare(case, asked, alone)


def test_a_sample_depends_on_the_seed_and_not_on_the_batch(cases: dict[str, Case]) -> None:
    asked = {"max_length": 20, "do_sample": True, "temperature": 1.5}
    seeds = list(range(12))
    for name in (BART, LLAMA):
        case = cases[name]
        parameters = _parameters(asked)
        effective = models.settle(case.resolved, parameters, None)
        rows = [each.ids for each in case.engine.encode(DOCUMENTS[:12], effective)]
        forwards = case.engine.generate(rows, effective, seeds)
        backwards = case.engine.generate(rows[::-1], effective, seeds[::-1])
        assert forwards == backwards[::-1]
        others = case.engine.generate(rows, effective, [seed + 99 for seed in seeds])
        assert others != forwards
        alike = case.engine.generate([rows[3]] * 6, effective, range(6))
        assert len({tuple(each.ids) for each in alike}) > 1


def test_a_summary_that_ran_out_of_tokens_says_so(cases: dict[str, Case]) -> None:
    for case in cases.values():
        effective = models.settle(case.resolved, Parameters(max_new_tokens=9), None)
        rows = [each.ids for each in case.engine.encode(DOCUMENTS, effective)]
        found = case.engine.generate(rows, effective, [0] * len(rows))
        assert {each.finish_reason for each in found} == {"stop", "length"}
        assert all(each.tokens == 9 for each in found if each.finish_reason == "length")
        assert all(
            each.tokens == len(each.ids) + 1 for each in found if each.finish_reason == "stop"
        )


def _compare(
    case: Case, asked: dict[str, Any], alone: Callable[[str], tuple[str, int, int]]
) -> None:
    effective = models.settle(case.resolved, _parameters(asked), None)
    encoded = case.engine.encode(DOCUMENTS, effective)
    lengths = [each.tokens for each in encoded]
    found: dict[int, tuple[str, int, int]] = {}
    for batch in batching.plan(lengths, 640, 8):
        rows = case.engine.generate([encoded[p].ids for p in batch], effective, [0] * len(batch))
        for position, row, summary in zip(batch, rows, case.engine.decode(rows), strict=True):
            found[position] = (summary, encoded[position].tokens, row.tokens)
    with torch.inference_mode():
        expected = [alone(text) for text in DOCUMENTS]
    assert [found[position] for position in range(len(DOCUMENTS))] == expected
    assert len({summary for summary, _, _ in expected}) > len(DOCUMENTS) // 2


def _parameters(asked: dict[str, Any]) -> Parameters:
    own = {name: value for name, value in asked.items() if name in Parameters.model_fields}
    rest = {name: value for name, value in asked.items() if name not in own}
    return Parameters(**own, generate=rest)

"""Which engine does a job: the fastest one that is exact, or the one that is named."""

from pathlib import Path
from typing import Any

import pytest
from transformers import BartConfig, LEDConfig

from jobs.errors import JobError
from jobs.parameters import Effective
from worker.choice import Choice, choose
from worker.models import Resolved

LEAD = Resolved("lead-3", "1", "lead")


@pytest.fixture
def bart(tmp_path: Path) -> Resolved:
    BartConfig().save_pretrained(tmp_path)
    return Resolved("bart", "0", "encoder-decoder", tmp_path)


@pytest.fixture
def led(tmp_path: Path) -> Resolved:
    LEDConfig().save_pretrained(tmp_path)
    return Resolved("led", "0", "encoder-decoder", tmp_path)


def asked(**fields: Any) -> Effective:
    return Effective(generation={"max_length": 20, **fields})


def test_the_native_engine_does_what_it_can(bart: Resolved) -> None:
    assert choose(bart, asked(num_beams=4), "auto", "auto", "cpu") == Choice("native", "float32")
    assert choose(bart, asked(), "native", "bfloat16", "cpu") == Choice("native", "bfloat16")
    assert choose(bart, asked(), "auto", "int8", "cpu") == Choice("native", "int8")


def test_the_library_does_the_rest_and_the_job_says_why(bart: Resolved) -> None:
    chosen = choose(bart, asked(renormalize_logits=True), "auto", "auto", "cpu")
    assert chosen == Choice("transformers", "float32", "native can not do renormalize_logits")


def test_a_model_that_native_does_not_know(led: Resolved) -> None:
    chosen = choose(led, asked(), "auto", "auto", "cpu")
    assert chosen == Choice("transformers", "float32", "native can not do model_type led")


def test_the_library_where_it_is_named(bart: Resolved) -> None:
    chosen = choose(bart, asked(), "transformers", "auto", "cpu")
    assert chosen == Choice("transformers", "float32"), "and no reason is given"


def test_on_a_gpu_native_is_tried_where_it_is_named(bart: Resolved) -> None:
    chosen = choose(bart, asked(), "auto", "auto", "cuda:0")
    assert (chosen.engine, chosen.dtype) == ("transformers", "bfloat16")
    assert "never measured on a GPU" in (chosen.fallback or "")
    assert choose(bart, asked(), "native", "auto", "cuda:0") == Choice("native", "bfloat16")


def test_lead_has_its_own() -> None:
    assert choose(LEAD, Effective(), "auto", "auto", "cpu") == Choice("lead", None)
    assert choose(LEAD, Effective(), "lead", "bfloat16", "cuda:0") == Choice("lead", None)


@pytest.mark.parametrize(
    ("fields", "engine", "dtype", "device", "why"),
    [
        ({}, "lead", "auto", "cpu", "engine: lead can not run bart"),
        ({"renormalize_logits": True}, "native", "auto", "cpu", "native can not do renormalize"),
        ({}, "native", "float16", "cpu", "engine: native can not do float16"),
        ({}, "transformers", "int8", "cpu", "dtype: int8 needs the native engine"),
        ({"renormalize_logits": True}, "auto", "int8", "cpu", "which can not do renormalize"),
        ({}, "auto", "int8", "cuda:0", "dtype: int8 is for CPUs"),
    ],
)
def test_what_is_named_and_can_not_be(
    bart: Resolved, fields: dict[str, Any], engine: str, dtype: str, device: str, why: str
) -> None:
    with pytest.raises(JobError, match=why) as refused:
        choose(bart, asked(**fields), engine, dtype, device)
    assert refused.value.code == "bad_parameters"


@pytest.mark.parametrize(
    ("engine", "dtype", "why"),
    [("native", "auto", "native can not run lead-3"), ("auto", "int8", "lead-3 has no numbers")],
)
def test_what_lead_can_not_be(engine: str, dtype: str, why: str) -> None:
    with pytest.raises(JobError, match=why):
        choose(LEAD, Effective(), engine, dtype, "cpu")

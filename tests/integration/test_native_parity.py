"""The native engine says what `generate` says, family by family.

Both run in batches and in float32, where the order of summation is all that can differ. Where
two texts are not the same, they must be as good as the same to the model: a near-tie.
"""

import gc
import weakref
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import (
    ForcedBOSTokenLogitsProcessor,
    ForcedEOSTokenLogitsProcessor,
    GenerationConfig,
    LogitsProcessorList,
    PreTrainedModel,
    RepetitionPenaltyLogitsProcessor,
)

from jobs.parameters import Effective
from tests.models import documents, tiny_bart, tiny_bart_like, tiny_mt5, tiny_t5
from worker import model_files
from worker.engines import Engine, Generated, NotNumbers
from worker.engines.native import NativeEngine, linear, search, unsupported
from worker.engines.native.linear import Dtype
from worker.engines.transformers import TransformersEngine

MAKERS = {
    "bart": tiny_bart,
    "mbart": lambda folder: tiny_bart_like(folder, "mbart"),
    "pegasus": lambda folder: tiny_bart_like(folder, "pegasus"),
    "marian": lambda folder: tiny_bart_like(folder, "marian"),
    "t5": lambda folder: tiny_t5(folder, tied=True),
    "flan": lambda folder: tiny_t5(folder, tied=False),
    "mt5": tiny_mt5,
}
RULES: list[dict[str, Any]] = [
    {"max_length": 24},
    {"max_length": 20, "forced_eos_token_id": "eos", "min_length": 8, "repetition_penalty": 1.3},
    {"max_new_tokens": 16, "forced_bos_token_id": 44, "min_new_tokens": 6, "min_length": 12},
    {
        "max_length": 20,
        "suppress_tokens": [17, 30],
        "begin_suppress_tokens": [40, 41, 42],
        "bad_words_ids": [[50], [60, 61]],
    },
]
STOPPING: list[dict[str, Any]] = [
    {"early_stopping": True, "length_penalty": 2.0},
    {"early_stopping": False, "length_penalty": -0.5},
    {"early_stopping": "never", "length_penalty": 1.0},
    {"early_stopping": False, "length_penalty": 1.0},
]
"""Taken in turn with RULES: beams need both."""


@dataclass(frozen=True)
class Case:
    oracle: TransformersEngine
    native: NativeEngine
    model: PreTrainedModel
    folder: Path


@pytest.fixture(scope="module", params=MAKERS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = MAKERS[request.param](tmp_path_factory.mktemp(request.param))
    tokenizer = model_files.read_tokenizer(folder, request.param)
    model = _load(folder)
    oracle = TransformersEngine(model, tokenizer, "encoder-decoder")
    return Case(oracle, _native(folder, "float32"), model, folder)


def _load(folder: Path, dtype: str = "float32") -> PreTrainedModel:
    return model_files.load(folder, "encoder-decoder", dtype, "cpu", folder.name)


def _native(folder: Path, dtype: Dtype) -> NativeEngine:
    tokenizer = model_files.read_tokenizer(folder, folder.name)
    model = _load(folder, "float32" if dtype == "int8" else dtype)
    return NativeEngine(model, tokenizer, "encoder-decoder", dtype)


def test_native_says_what_generate_says(case: Case) -> None:
    total = same = 0
    stopped = set()
    for (number, rules), beams, ngram in product(enumerate(RULES), (1, 4), (0, 3)):
        fields = {**rules, "num_beams": beams, "no_repeat_ngram_size": ngram}
        effective = _effective(case, fields | (STOPPING[number] if beams > 1 else {}))
        rows = [each.ids for each in case.oracle.encode(documents(16), effective)]
        expected = case.oracle.generate(rows, effective, [0] * len(rows))
        found = case.native.generate(rows, effective, [0] * len(rows))
        for row, one, other in zip(rows, expected, found, strict=True):
            total += 1
            same += one == other
            stopped.add(one.tokens)
            if one != other:
                _see_near_tie(case, row, one, other, effective)
    assert same >= 0.995 * total
    assert len(stopped) > 5, "documents end at different steps"


def _see_near_tie(
    case: Case, row: list[int], one: Generated, other: Generated, effective: Effective
) -> None:
    """Beam search prefers by score; greedy search by each token, and parts ways at one."""
    fields = effective.generation
    texts = [_with_end(case, one), _with_end(case, other)]
    scores = [_scores(case.model, row, text, fields) for text in texts]
    if fields["num_beams"] == 1:
        parted = [place for place, (a, b) in enumerate(zip(*texts, strict=False)) if a != b]
        assert parted, "one of them stops without an end"
        assert scores[0][parted[0]] == pytest.approx(scores[1][parted[0]], abs=1e-3)
    else:
        first, second = (sum(each) / len(each) ** fields["length_penalty"] for each in scores)
        assert first == pytest.approx(second, rel=1e-3)


def test_who_looks_seldom_finds_the_same(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a device that is asked only every few steps who is done."""
    for number, beams in enumerate((1, 4, 4, 4)):
        fields = {**RULES[0], "num_beams": beams, **(STOPPING[number] if beams > 1 else {})}
        effective = _effective(case, fields)
        rows = [each.ids for each in case.native.encode(documents(12), effective)]
        expected = case.native.generate(rows, effective, [0] * len(rows))
        with monkeypatch.context() as seldom:
            seldom.setattr(
                search, "_is_time", lambda _device, step, most: step == most or step % 5 == 0
            )
            assert case.native.generate(rows, effective, [0] * len(rows)) == expected


def test_a_tie_is_measured_as_generate_measures(case: Case) -> None:
    """Penalties and forced tokens included."""
    model: Any = case.model
    for number, rules in enumerate(RULES):
        effective = _effective(case, {**rules, "num_beams": 4, **STOPPING[number]})
        fields = effective.generation
        config = GenerationConfig(**fields, output_scores=True, return_dict_in_generate=True)
        [encoded] = case.oracle.encode(documents(1), effective)
        with torch.inference_mode():
            made = model.generate(torch.tensor([encoded.ids]), generation_config=config)
        text = made.sequences[0, 1:].tolist()
        said = sum(_scores(case.model, encoded.ids, text, fields))
        score = float(made.sequences_scores[0])
        assert said / len(text) ** fields["length_penalty"] == pytest.approx(score, rel=1e-3)


@pytest.mark.parametrize("beams", [1, 4])
def test_a_text_that_ends_early_is_no_tie(case: Case, beams: int) -> None:
    effective = _effective(case, {"max_length": 24, "num_beams": beams, "length_penalty": 1.0})
    rows = [each.ids for each in case.oracle.encode(documents(16), effective)]
    found = case.oracle.generate(rows, effective, [0] * len(rows))
    row, whole = next((r, f) for r, f in zip(rows, found, strict=True) if len(f.ids) > 4)
    for early in (Generated(whole.ids[:3], 4, "stop"), Generated(whole.ids[:3], 3, "length")):
        with pytest.raises(AssertionError):
            _see_near_tie(case, row, whole, early, effective)


def _with_end(case: Case, text: Generated) -> list[int]:
    return text.ids + [case.model.config.eos_token_id] * (text.tokens - len(text.ids))


def _scores(
    model: PreTrainedModel, row: list[int], ids: list[int], fields: dict[str, Any]
) -> list[float]:
    """What each token of a text counts in a search, under the rules that change more than what
    may be said at all."""
    start, end = model.config.decoder_start_token_id, model.config.eos_token_id
    numbers = _logits(model, row, ids)
    if fields["num_beams"] > 1:
        numbers = numbers.log_softmax(dim=-1)
    rules = LogitsProcessorList(
        [RepetitionPenaltyLogitsProcessor(fields.get("repetition_penalty", 1.0))]
    )
    if "forced_bos_token_id" in fields:
        rules.append(ForcedBOSTokenLogitsProcessor(fields["forced_bos_token_id"]))
    if "forced_eos_token_id" in fields:
        rules.append(ForcedEOSTokenLogitsProcessor(fields["max_length"], end))
    so_far = torch.tensor([[start, *ids]])
    return [
        float(rules(so_far[:, : place + 1], numbers[place : place + 1])[0, token])  # type: ignore[arg-type]  # says LongTensor
        for place, token in enumerate(ids)
    ]


def _log_probabilities(model: PreTrainedModel, row: list[int], ids: list[int]) -> torch.Tensor:
    return _logits(model, row, ids).log_softmax(dim=-1)


def _logits(model: PreTrainedModel, row: list[int], ids: list[int]) -> torch.Tensor:
    """`[tokens, vocabulary]`: what the model says to each token of a text, before it is said."""
    start = model.config.decoder_start_token_id
    with torch.inference_mode():
        output = model(
            input_ids=torch.tensor([row]), decoder_input_ids=torch.tensor([[start, *ids[:-1]]])
        )
    logits: torch.Tensor = output.logits[0]
    return logits


def _effective(case: Case, fields: dict[str, Any]) -> Effective:
    end = case.model.config.eos_token_id
    settled = {name: end if value == "eos" else value for name, value in fields.items()}
    return Effective(max_input_tokens=90, generation=settled)


def test_what_native_says_does_not_depend_on_the_batch(case: Case) -> None:
    for fields in ({"num_beams": 3}, {"do_sample": True, "temperature": 1.3, "top_p": 0.9}):
        effective = _effective(case, {"max_new_tokens": 14, **fields})
        rows = [each.ids for each in case.native.encode(documents(10), effective)]
        together = case.native.generate(rows, effective, range(10))
        backwards = case.native.generate(rows[::-1], effective, range(9, -1, -1))
        alone = [case.native.generate([row], effective, [seed])[0] for seed, row in enumerate(rows)]
        assert together == backwards[::-1] == alone


@pytest.mark.parametrize("fields", [{}, {"num_beams": 3}, {"do_sample": True}])
@pytest.mark.parametrize("engine", ["native", "transformers"])
def test_nan_is_an_error_and_no_text(tmp_path: Path, engine: str, fields: dict[str, Any]) -> None:
    """Of one document in the batch: here the one that is long enough."""
    folder = MAKERS["bart"](tmp_path)
    model = _load(folder)
    with torch.no_grad():
        model.get_encoder().embed_positions.weight[60:] = float("nan")
    tokenizer = model_files.read_tokenizer(folder, "bart")
    made: Engine = (
        NativeEngine(model, tokenizer, "encoder-decoder", "float32")
        if engine == "native"
        else TransformersEngine(model, tokenizer, "encoder-decoder")
    )
    effective = Effective(max_input_tokens=90, generation={"max_new_tokens": 6, **fields})
    rows = [each.ids for each in made.encode(documents(16), effective)]
    fine = [row for row in rows if len(row) <= 50]
    broken = next(row for row in rows if len(row) > 60)
    assert len(made.generate(fine, effective, [0] * len(fine))) == len(fine) > 1
    with pytest.raises((NotNumbers, RuntimeError), match=r"NaN|nan"):
        made.generate([*fine, broken], effective, [0] * (len(fine) + 1))


class _NoDoubles(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        assert not (isinstance(made, torch.Tensor) and made.dtype == torch.float64), func
        return made


@pytest.mark.parametrize("fields", [{"num_beams": 2}, {"do_sample": True, "top_p": 0.9}])
def test_no_number_has_more_bits_than_every_device_has(case: Case, fields: dict[str, Any]) -> None:
    """MPS has no float64."""
    rules = {"max_new_tokens": 6, "repetition_penalty": 1.3, "no_repeat_ngram_size": 2}
    effective = _effective(case, {**rules, **fields})
    rows = [each.ids for each in case.native.encode(documents(4), effective)]
    with _NoDoubles():  # type: ignore[no-untyped-call]  # torch's own
        assert len(case.native.generate(rows, effective, range(4))) == 4


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
@pytest.mark.parametrize("name", ["bart", "flan"])
def test_fewer_bits_say_mostly_the_same(tmp_path: Path, name: str, dtype: Dtype) -> None:
    """And where they say something else, at any step, it is as likely, in exact numbers."""
    folder = MAKERS[name](tmp_path)
    effective = Effective(max_input_tokens=90, generation={"max_new_tokens": 12, "num_beams": 2})
    model, rough = _load(folder), _native(folder, dtype)
    tokenizer = model_files.read_tokenizer(folder, name)
    exact = TransformersEngine(model, tokenizer, "encoder-decoder")
    rows = [each.ids for each in exact.encode(documents(24), effective)]
    expected = exact.generate(rows, effective, [0] * len(rows))
    found = rough.generate(rows, effective, [0] * len(rows))
    firsts = [one.ids[:1] == other.ids[:1] for one, other in zip(expected, found, strict=True)]
    assert all(1 <= each.tokens <= 12 for each in found)
    # The weights are drawn wide, and 24 of 24 would be luck; by chance it were 1 in 400.
    # BART's encoder rounds its scores, too.
    least = {"bart": (0.5, 0.3), "flan": (0.7, 0.4)}[name]
    assert sum(firsts) >= least[dtype == "int8"] * len(rows)
    pairs = list(zip(rows, expected, found, strict=True))
    best = [_likelihood(model, row, one.ids) for row, one, _ in pairs]
    said = [_likelihood(model, row, other.ids) for row, _, other in pairs]
    strange = [_likelihood(model, row, pairs[n - 1][1].ids) for n, (row, *_) in enumerate(pairs)]
    lost = (fmean(best) - fmean(said)) / (fmean(best) - fmean(strange))
    assert lost < (0.25 if dtype == "bfloat16" else 0.45), "of what another document's text loses"


def _likelihood(model: PreTrainedModel, row: list[int], ids: list[int]) -> float:
    """Mean logarithm of the probability of each token."""
    if not ids:
        return 0.0
    probabilities = _log_probabilities(model, row, ids)
    return float(probabilities[range(len(ids)), ids].mean())


def test_a_processor_without_bfloat16_multiplies_it_as_torch_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """oneDNN raises there, at the first product."""
    folder = MAKERS["bart"](tmp_path)
    effective = Effective(max_input_tokens=90, generation={"max_new_tokens": 6, "num_beams": 2})
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    monkeypatch.setattr(
        torch.ops.mkldnn,
        "_reorder_linear_weight",
        lambda weight, _: pytest.fail(f"{weight.dtype} was packed"),
    )
    plain = _native(folder, "bfloat16")
    rows = [each.ids for each in plain.encode(documents(4), effective)]
    assert all(1 <= each.tokens <= 6 for each in plain.generate(rows, effective, [0] * 4))


def test_a_torch_without_int8_says_so(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    def reason() -> str | None:
        return unsupported(case.model.config, "encoder-decoder", Effective(), "int8")

    assert reason() is None
    monkeypatch.setattr(linear, "can_round", lambda: False)
    assert reason() == "int8 with this build of torch"


@pytest.mark.parametrize("name", ["bart", "t5"])
def test_plain_weights_are_freed(name: str, tmp_path: Path) -> None:
    """They would stand beside the packed ones, in every process."""
    folder = MAKERS[name](tmp_path)
    model = _load(folder)
    block = model.get_decoder()
    layer = block.layers[0].fc1 if name == "bart" else block.block[0].layer[0].SelfAttention.q
    weight = weakref.ref(layer.weight)
    engine = NativeEngine(
        model, model_files.read_tokenizer(folder, name), "encoder-decoder", "float32"
    )
    del model, block, layer
    gc.collect()
    assert weight() is None
    assert engine.name == "native"

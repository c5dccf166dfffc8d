"""The native engine on decoder-only models, beside `generate` on each prompt alone."""

import copy
import itertools
import random
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GemmaConfig,
    GenerationConfig,
    GraniteConfig,
    LlamaConfig,
    MistralConfig,
    MixtralConfig,
    Olmo2Config,
    Phi3Config,
    PreTrainedConfig,
    Qwen2Config,
    Qwen3Config,
    SmolLM3Config,
)

from jobs import model_types
from jobs.parameters import Effective
from tests.models import tiny_llama
from worker.engines import Generated
from worker.engines.native import NativeEngine, unsupported
from worker.engines.native.segments import Segments

VOCABULARY = 120
END = 2
SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.6,
    "bos_token_id": 1,
    "eos_token_id": END,
    "pad_token_id": 0,
}
CONFIGS: dict[str, PreTrainedConfig] = {
    "gemma": GemmaConfig(**SHAPE, head_dim=16),
    "granite": GraniteConfig(**SHAPE, logits_scaling=2.0, attention_multiplier=0.3),
    "llama": LlamaConfig(**SHAPE),
    "mistral": MistralConfig(**SHAPE, sliding_window=None),
    "olmo2": Olmo2Config(**SHAPE),
    "phi3": Phi3Config(**SHAPE),
    "qwen2": Qwen2Config(**SHAPE),
    "qwen3": Qwen3Config(**SHAPE, head_dim=16),
    "smollm3": SmolLM3Config(**SHAPE),
}
FIELDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "bounded": {"min_new_tokens": 6, "no_repeat_ngram_size": 3},
    "penalized": {"repetition_penalty": 1.3, "no_repeat_ngram_size": 3},
}
CASES = list(itertools.product((1, 4), FIELDS, (0, 20)))
"""Beams, fields, shared ids."""
MOST = 16


class Pair:
    """An engine, and the same model as it was."""

    def __init__(self, config: PreTrainedConfig, tokenizer: Any) -> None:
        torch.manual_seed(3)
        self.model: Any = AutoModelForCausalLM.from_config(config).eval()
        with torch.no_grad():
            # An end token louder than the others is chosen now and then.
            self.model.get_output_embeddings().weight[END] *= 2
        taken: Any = copy.deepcopy(self.model)
        self.engine = NativeEngine(taken, tokenizer, "decoder-only", "float32")

    def alone(self, prompt: list[int], fields: dict[str, Any]) -> list[int]:
        """New ids by `generate`, without the end."""
        config = GenerationConfig(**fields, eos_token_id=END, pad_token_id=0)
        output = self.model.generate(torch.tensor([prompt]), generation_config=config)
        new: list[int] = output[0, len(prompt) :].tolist()
        return new[: new.index(END)] if END in new else new

    def together(
        self, batch: list[list[int]], fields: dict[str, Any], seeds: list[int] | None = None
    ) -> list[Generated]:
        effective = Effective(seed=0, generation={"max_new_tokens": MOST, **fields})
        return self.engine.generate(batch, effective, seeds or [0] * len(batch))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return AutoTokenizer.from_pretrained(tiny_llama(tmp_path_factory.mktemp("llama")))


def prompts(seed: int, shared: int, count: int = 6) -> list[list[int]]:
    """Different lengths, some beyond a block of `segments`; `shared` ids at the beginning of
    all, and three at their end."""
    draw = random.Random(seed)

    def ids(length: int) -> list[int]:
        return [draw.randrange(3, VOCABULARY) for _ in range(length)]

    prefix = ids(shared)
    return [prefix + ids(draw.choice([1, 2, 9, 80])) + [5, 6, 7] for _ in range(count)]


@pytest.mark.parametrize("family", CONFIGS)
def test_a_batch_gives_what_generate_gives_alone(family: str, tokenizer: Any) -> None:
    pair = Pair(CONFIGS[family], tokenizer)
    same: list[bool] = []
    lengths = set()
    # The search is the same for all families, what they do with a step is not.
    for beams, name, shared in CASES if family == "llama" else [CASES[2], CASES[-1]]:
        fields = {"max_new_tokens": MOST, "num_beams": beams, **FIELDS[name]}
        batch = prompts(len(same), shared)
        found = pair.together(batch, fields)
        same += [
            pair.alone(each, fields) == new.ids for each, new in zip(batch, found, strict=True)
        ]
        lengths |= {new.tokens for new in found}
    assert sum(same) >= 0.995 * len(same)
    assert len(lengths) > 1  # documents left at different steps


def test_the_tested_families_are_the_known_ones() -> None:
    assert {config.model_type for config in CONFIGS.values()} == model_types.DECODER_ONLY


def test_a_sample_does_not_depend_on_its_batch(tokenizer: Any) -> None:
    pair = Pair(CONFIGS["llama"], tokenizer)
    batch, seeds = prompts(1, 20), list(range(6))
    fields = {"do_sample": True, "temperature": 1.5}
    together = pair.together(batch, fields, seeds)
    alone = [
        pair.together([each], fields, [seed])[0] for each, seed in zip(batch, seeds, strict=True)
    ]
    assert together == alone
    assert together != pair.together(batch, fields, seeds[::-1])


def test_a_prefix_is_read_once_for_all_batches_of_a_job(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair, read = Pair(CONFIGS["llama"], tokenizer), []
    update = Segments.update

    def counted(self: Segments, key: Any, value: Any, layer: int, *more: Any, **named: Any) -> Any:
        if layer == 0 and self.filling is not None:
            read.append(key.shape[0] * key.shape[2])
        return update(self, key, value, layer, *more, **named)

    monkeypatch.setattr(Segments, "update", counted)
    batches = [[[1] * 40 + [3 + number, 4]] * 2 + [[1] * 40 + [9, 8]] for number in range(3)]
    first = [pair.together(batch, {}) for batch in batches]
    assert read == [40, 3, 3, 3]  # the last token of a prompt is left for the first step
    fresh = [Pair(CONFIGS["llama"], tokenizer).together(batch, {}) for batch in batches]
    assert first == fresh


def test_another_job_with_another_prefix_is_not_given_the_first_ones(tokenizer: Any) -> None:
    pair = Pair(CONFIGS["qwen2"], tokenizer)
    fields = {"max_new_tokens": MOST}
    for seed in range(3):
        # From the second on, the first half of the prefix is that of the batch before.
        batch = [[7] * 20 + each for each in prompts(seed, 20)]
        found = [one.ids for one in pair.together(batch, fields)]
        assert found == [pair.alone(each, fields) for each in batch]


@pytest.mark.parametrize("batch", [[[5]], [[5], [6, 7]], [[5, 6], [5, 6]], [[5, 6, 7]] * 3])
def test_the_smallest_prompts(batch: list[list[int]], tokenizer: Any) -> None:
    pair = Pair(CONFIGS["llama"], tokenizer)
    found = [one.ids for one in pair.together(batch, {})]
    assert found == [pair.alone(each, {"max_new_tokens": MOST}) for each in batch]


def _with(config: PreTrainedConfig, **attributes: Any) -> PreTrainedConfig:
    changed = copy.deepcopy(config)
    for name, value in attributes.items():
        setattr(changed, name, value)
    return changed


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (CONFIGS["llama"], None),
        (MistralConfig(**SHAPE), "sliding windows"),
        (Phi3Config(**SHAPE, sliding_window=64), "sliding windows"),
        (Qwen2Config(**SHAPE, use_sliding_window=True, max_window_layers=1), "sliding windows"),
        (_with(CONFIGS["llama"], quantization_config={"bits": 4}), "quantized weights"),
        (
            LlamaConfig(
                **SHAPE,
                rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0},
            ),
            "rope_type dynamic",
        ),
        (MixtralConfig(**SHAPE), "model_type mixtral"),
    ],
)
def test_what_is_not_exact_is_left_to_transformers(
    config: PreTrainedConfig, reason: str | None
) -> None:
    effective = Effective(seed=0, generation={"max_new_tokens": MOST})
    assert unsupported(config, "decoder-only", effective) == reason

"""Transformers' own `generate`, for any encoder-decoder or chat model: the oracle.

Pads a batch, masks the padding, and takes each row apart again. It settles no
parameter (`worker.generation`), fills no prompt (`worker.prompts`) and chooses no
batch (`worker.batching`).
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from jobs.parameters import Effective
from worker.engines import Generated, NotNumbers, device_errors
from worker.engines.hugging_face import HuggingFaceEngine, generated
from worker.generation import Kind


class TransformersEngine(HuggingFaceEngine):
    """One loaded model on one device, in eval mode and in the dtype it came with."""

    name = "transformers"

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, kind: Kind
    ) -> None:
        super().__init__(model, tokenizer, kind)
        self._model: Any = model
        self._pad: int = self._special["pad_token_id"]
        # `generate` fills what a job leaves open from here. Settled parameters leave
        # nothing open but the special tokens; what else the files say must not return.
        self._model.generation_config = GenerationConfig(**self._special)

    def generate(
        self, batch: Sequence[list[int]], effective: Effective, seeds: Sequence[int]
    ) -> list[Generated]:
        """What else the library raises over an input, the caller puts down to a document."""
        config = GenerationConfig(**{**self._special, **effective.generation})
        if config.do_sample:
            return device_errors.named(lambda: self._sample(batch, config, seeds))
        return device_errors.named(lambda: self._generate(batch, config))

    def _sample(
        self, batch: Sequence[list[int]], config: GenerationConfig, seeds: Sequence[int]
    ) -> list[Generated]:
        """One row at a time. Rows of a batch draw from one stream of random numbers, so what
        one of them gets would depend on its neighbours: a document's sample is to be the
        same whichever batch, worker or retry it comes to."""
        found = []
        for ids, seed in zip(batch, seeds, strict=True):
            torch.manual_seed(seed)
            found += self._generate([ids], config)
        return found

    def _generate(self, batch: Sequence[list[int]], config: GenerationConfig) -> list[Generated]:
        input_ids, mask = self._padded(batch)
        watch = _Watch(self._device)
        with torch.inference_mode():
            output = self._model.generate(
                input_ids=input_ids,
                attention_mask=mask,
                generation_config=config,
                logits_processor=LogitsProcessorList([watch]),
            )
        if bool(watch.saw_nan):
            raise NotNumbers
        # An encoder-decoder's row opens with the decoder's start, a decoder's with its input.
        opening = 1 if self._kind == "encoder-decoder" else input_ids.shape[1]
        return [generated(row, config) for row in output[:, opening:].tolist()]

    def _padded(self, batch: Sequence[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Ids and mask, both `[rows, longest]`: left padding where the output goes on from
        the input, right padding where it does not."""
        longest = max(len(ids) for ids in batch)
        input_ids, mask = [], []
        for ids in batch:
            gap = longest - len(ids)
            if self._kind == "encoder-decoder":
                input_ids.append(ids + [self._pad] * gap)
                mask.append([1] * len(ids) + [0] * gap)
            else:
                # The mask hides the padding from the model but not from every logits
                # processor: `encoder_repetition_penalty` reads the ids, and where padding
                # is the end token would end a padded row early. A row's own first token
                # is in it anyway.
                input_ids.append(ids[:1] * gap + ids)
                mask.append([0] * gap + [1] * len(ids))
        return (
            torch.tensor(input_ids, device=self._device),
            torch.tensor(mask, device=self._device),
        )


class _Watch(LogitsProcessor):
    """Looks for NaN, of which greedy and beam search make a text, and sampling an error."""

    def __init__(self, device: torch.device) -> None:
        self.saw_nan = torch.zeros((), dtype=torch.bool, device=device)

    def __call__(
        self,
        input_ids: torch.Tensor,  # noqa: ARG002 - as the library's
        scores: torch.Tensor,
    ) -> torch.Tensor:
        self.saw_nan |= scores.amax(dim=-1).isnan().any()
        return scores

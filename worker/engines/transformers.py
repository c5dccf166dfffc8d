"""Transformers' own `generate`, for any encoder-decoder or chat model: the oracle.

Pads a batch, masks the padding, and takes each row apart again. It settles no
parameter (`worker.generation`), fills no prompt (`worker.prompts`) and chooses no
batch (`worker.batching`).
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerFast

from jobs.parameters import Effective
from worker import prompts
from worker.engines import Encoded, Generated, device_errors
from worker.generation import Kind, new_tokens


class TransformersEngine:
    """One loaded model on one device, in eval mode and in the dtype it came with."""

    name = "transformers"

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        kind: Kind,
        max_num_batched_tokens: int | None = None,
        max_num_seqs: int = 64,
    ) -> None:
        default = 4096 if model.device.type == "cpu" else 16384
        self.max_num_batched_tokens: int | None = max_num_batched_tokens or default
        self.max_num_seqs = max_num_seqs
        self._model = model.eval()
        self._tokenizer = tokenizer
        # A fast tokenizer that cuts in one thread can not decode in another.
        self._decoding_tokenizer = copy.deepcopy(tokenizer)
        self._kind: Kind = kind
        self._special = special_tokens(model.generation_config, tokenizer)
        self._pad: int = self._special["pad_token_id"]
        # `generate` fills what a job leaves open from here. Settled parameters leave
        # nothing open but the special tokens; what else the files say must not return.
        self._model.generation_config = GenerationConfig(**self._special)

    def seqs_per_document(self, effective: Effective) -> int:
        """On a CPU each beam counts: a step takes as long as it has rows. 64 documents of
        bart-large-cnn with its 4 beams are 256 rows, 7 s a step on two cores and 1,000 s
        for 142 tokens, beyond the deadline of a batch; 16 documents take a quarter of that.
        A GPU has room in a step for the beams of 64 documents, and is slower with fewer."""
        on_cpu = self._model.device.type == "cpu"
        return int(effective.generation.get("num_beams", 1)) if on_cpu else 1

    def encode(self, texts: Sequence[str], effective: Effective) -> list[Encoded]:
        return prompts.encode(self._tokenizer, self._kind, texts, effective)

    def generate(
        self, batch: Sequence[list[int]], effective: Effective, seeds: Sequence[int]
    ) -> list[Generated]:
        """What else the library raises over an input, the caller puts down to a document."""
        config = GenerationConfig(**{**self._special, **effective.generation})
        if config.do_sample:
            return device_errors.named(lambda: self._sample(batch, config, seeds))
        return device_errors.named(lambda: self._generate(batch, config))

    def decode(self, generated: Sequence[Generated]) -> list[str]:
        ids = [each.ids for each in generated]
        texts = self._decoding_tokenizer.batch_decode(ids, skip_special_tokens=True)
        return [text.strip() for text in texts]

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
        with torch.inference_mode():
            output = self._model.generate(
                input_ids=input_ids, attention_mask=mask, generation_config=config
            )
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
        device = self._model.device
        return torch.tensor(input_ids, device=device), torch.tensor(mask, device=device)


def special_tokens(config: GenerationConfig, tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    """Token ids that the model's files name; where none is for padding, the end token."""
    eos = config.eos_token_id if config.eos_token_id is not None else tokenizer.eos_token_id
    pad = config.pad_token_id if config.pad_token_id is not None else tokenizer.pad_token_id
    if pad is None:
        pad = next(iter(as_list(eos)), 0)
    return {
        "bos_token_id": config.bos_token_id,
        "eos_token_id": eos,
        "pad_token_id": pad,
        "decoder_start_token_id": config.decoder_start_token_id,
    }


def generated(row: list[int], config: GenerationConfig) -> Generated:
    """`row`: new tokens, then the end token and padding where the row ended before others.

    Padding is told from text by standing behind the end token: where a model has no
    padding of its own, `generate` fills with the end token itself.
    """
    ends = set(as_list(config.eos_token_id))
    end = next((place for place, token in enumerate(row) if token in ends), None)
    if end is None:
        return Generated(row, len(row), "length")
    # BART's family is made to say the end token at the maximum, in mid-sentence or not.
    forced = config.forced_eos_token_id is not None and end + 1 == new_tokens(config.to_dict())
    return Generated(row[:end], end + 1, "length" if forced else "stop")


def as_list(ids: int | list[int] | None) -> list[int]:
    if ids is None:
        return []
    return ids if isinstance(ids, list) else [ids]

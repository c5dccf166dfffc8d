"""What engines on models of Hugging Face share: the tokenizer, special tokens, budgets and rows.

Generates nothing itself.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerFast

from jobs.parameters import Effective
from worker import prompts
from worker.engines import Encoded, Generated
from worker.generation import Kind, new_tokens


class HuggingFaceEngine:
    """One model on one device, in eval mode, with its tokenizer; all of an `Engine` but
    `generate`."""

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, kind: Kind
    ) -> None:
        self._device = model.device
        # Until they are measured; see `worker.budget`.
        self.max_num_batched_tokens: int | None = 4096 if self._device.type == "cpu" else 16384
        self.max_num_seqs = 64
        # A fast tokenizer that cuts in one thread can do nothing in another: one reads ahead while
        # another encodes what parts of long documents came to, and decodes.
        self._tokenizers: SimpleQueue[PreTrainedTokenizerFast] = SimpleQueue()
        self._tokenizers.put(tokenizer)
        self._tokenizers.put(copy.deepcopy(tokenizer))
        self._kind: Kind = kind
        self._special = special_tokens(model.generation_config, tokenizer)
        model.eval()

    def seqs_per_document(self, effective: Effective) -> int:
        """On a CPU each beam counts: a step takes as long as it has rows. 64 documents of
        bart-large-cnn with its 4 beams are 256 rows, 7 s a step on two cores and 1,000 s
        for 142 tokens, beyond the deadline of a batch; 16 documents take a quarter of that.
        A GPU has room in a step for the beams of 64 documents, and is slower with fewer."""
        on_cpu = self._device.type == "cpu"
        return int(effective.generation.get("num_beams", 1)) if on_cpu else 1

    def encode(self, texts: Sequence[str], effective: Effective) -> list[Encoded]:
        with self._tokenizer() as tokenizer:
            return prompts.encode(tokenizer, self._kind, texts, effective)

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        with self._tokenizer() as tokenizer:
            return prompts.token_spans(tokenizer, text)

    def decode(self, generated: Sequence[Generated]) -> list[str]:
        ids = [each.ids for each in generated]
        with self._tokenizer() as tokenizer:
            texts = tokenizer.batch_decode(ids, skip_special_tokens=True)
        return [text.strip() for text in texts]

    @contextmanager
    def _tokenizer(self) -> Iterator[PreTrainedTokenizerFast]:
        """One that no other thread has; waits for it where there is none."""
        tokenizer = self._tokenizers.get()
        try:
            yield tokenizer
        finally:
            self._tokenizers.put(tokenizer)


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

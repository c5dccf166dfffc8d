"""Attention inside an encoder on a CPU, where keys and values have 16 bits: document by document,
without its padding.

Torch's fused attention reads bfloat16 and computes in float32, padding with it. Two plain
products over as many heads as the cache holds took 0.55 to 0.7 of its time (256 to 1,024
tokens). Between them scores have 16 bits, too, which is little for what T5 does not scale: it
stays with the fused one, as float32 does, where that is as fast, and other devices. The model's
own modules do the rest; they come here through the attention interface of transformers.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedConfig, PreTrainedModel

from jobs.model_types import BART_LIKE

_ATTENTION = "gistmill-documents"
"""The name of `attend` among the attention functions of transformers. It has no mask function:
a model hands it the mask that it was given, if that has four dimensions."""

_SCORES = 1 << 18
"""That are computed together, so that they are still in the cache when they are read."""


def knows(config: PreTrainedConfig) -> bool:
    """Whether such a model's encoder can attend so."""
    return config.model_type in BART_LIKE


def settle(encoder: PreTrainedModel) -> None:
    """From now on `encoder` attends with `attend`, and its masks have to be `widened`."""
    encoder.set_attn_implementation(_ATTENTION)
    if encoder.config._attn_implementation != _ATTENTION:  # the library only warns
        raise RuntimeError(f"{type(encoder).__name__} does not take another attention")


def widened(mask: Tensor | None) -> Tensor | None:
    """`mask`: `[documents, tokens]`, as `attend` wants it."""
    return None if mask is None else mask[:, None, None]


def attend(
    module: nn.Module,  # noqa: ARG001 - as the library's
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    **options: Any,  # noqa: ARG001
) -> tuple[Tensor, None]:
    """`query`, `key`, `value`: `[documents, heads, tokens, size]`; `attention_mask`:
    `[documents, 1, 1, tokens]`, 1 for a token, 0 behind the last. Returns `[documents, tokens,
    heads, size]`, 0 for padding."""
    documents, heads, tokens, size = query.shape
    lengths = [tokens] * documents
    if attention_mask is not None:
        lengths = attention_mask.sum(dim=-1).flatten().tolist()
    found = query.new_zeros((documents, heads, tokens, size), dtype=torch.bfloat16)
    asked, keys, values = ((query * scaling).bfloat16(), key.bfloat16(), value.bfloat16())
    for document, some, length in _pieces(lengths, heads):
        scores = asked[document, some, :length] @ keys[document, some, :length].transpose(1, 2)
        found[document, some, :length] = scores.softmax(dim=-1) @ values[document, some, :length]
    return found.transpose(1, 2).to(query.dtype), None


def _pieces(lengths: list[int], heads: int) -> Iterator[tuple[int, slice, int]]:
    """A document, some of its heads, and how many tokens it has."""
    for document, length in enumerate(lengths):
        together = max(1, _SCORES // max(1, length) ** 2)
        for first in range(0, heads, together):
            yield document, slice(first, first + together), length


AttentionInterface.register(_ATTENTION, attend)

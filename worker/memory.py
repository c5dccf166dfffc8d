"""How much memory a model takes, worked out from its configuration: an estimate, in bytes.

Counts what a model is sure to need, its weights and the keys and values of a full batch, and
what a process was seen to take around the weights. What a batch computes on the way comes on top.
"""

from dataclasses import dataclass
from typing import Any

_BYTES = {"float32": 4, "bfloat16": 2}
"""Of one number. int8 is for linear layers alone, see `_int8`."""
_TOKENS, _ROWS = 4096, 64
"""Of a full batch on a CPU, where no budget was measured: input tokens, and rows."""
_LIBRARIES = 300_000_000
"""Bytes of torch and transformers themselves."""
_LAID_OUT = 1.5
"""Bytes that a worker on a CPU needs beside that, by those of the weights in float32, as it lays
them out for the processor; the file that it reads them from is mapped, and counts as none. Seen
with the native engine, from float32 files: 1.5, 1.4 and 1.5 in float32, bfloat16 and int8 with
SmolLM2 of 135M, 1.4, 1.0 and 1.1 with a BART of 139M."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """In bytes."""

    weights: dict[str, int]
    """By dtype: float32, bfloat16, int8."""
    worker: int
    """Of a worker on a CPU at its most, in any dtype, batches apart."""
    batch: int | None
    """Keys and values of a full batch in float32: 4,096 input tokens, 64 rows of new ones. None
    where the configuration does not say enough."""


def estimate(config: Any, parameters: int, new: int) -> Estimate:
    """`config`: a `PreTrainedConfig`. `parameters`: numbers in the weights, shared ones once.
    `new`: new tokens at most of each row."""
    weights = {name: parameters * size for name, size in _BYTES.items()}
    return Estimate(
        weights={**weights, "int8": _int8(config, parameters)},
        worker=_LIBRARIES + round(_LAID_OUT * weights["float32"]),
        batch=_batch(config, new),
    )


def _int8(config: Any, parameters: int) -> int:
    """One byte for each number, but four for the embeddings; where these are the last layer,
    too, it has a rounded copy of them."""
    embeddings = min(parameters, (_first(config, "vocab_size") or 0) * (_width(config) or 0))
    copy = embeddings if getattr(config, "tie_word_embeddings", True) else 0
    return parameters - embeddings + 4 * embeddings + copy


def _batch(config: Any, new: int) -> int | None:
    layers = _first(config, "num_decoder_layers", "decoder_layers", "num_hidden_layers")
    width = _attended(config)
    if layers is None or width is None:
        return None
    # Encoder-decoders keep the input's keys and values for each layer of the decoder, too.
    return 2 * layers * width * (_TOKENS + _ROWS * new) * _BYTES["float32"]


def _attended(config: Any) -> int | None:
    """Numbers in the keys of one token in one layer."""
    heads = _first(config, "num_key_value_heads", "decoder_attention_heads", "num_heads")
    queries = _first(config, "num_attention_heads", "decoder_attention_heads", "num_heads")
    each, width = _first(config, "head_dim", "d_kv"), _width(config)
    if each is None and width and queries:
        each = width // queries
    heads = heads or queries
    return heads * each if heads and each else None


def _width(config: Any) -> int | None:
    return _first(config, "hidden_size", "d_model")


def _first(config: Any, *names: str) -> int | None:
    """The first of these that the configuration has."""
    found = (getattr(config, name, None) for name in names)
    return next((int(value) for value in found if value), None)

"""How much memory a model takes, worked out from its configuration: an estimate, in bytes.

Counts what a model is sure to need: its weights, and the keys and values of a full batch. What
it computes on the way comes on top, and depends on the device.
"""

from dataclasses import dataclass
from typing import Any

_BYTES = {"float32": 4, "bfloat16": 2}
"""Of one number. int8 is for linear layers alone, see `_int8`."""
_TOKENS, _ROWS = 4096, 64
"""Of a full batch on a CPU, where no budget was measured: input tokens, and rows."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Bytes; None where the configuration does not say enough."""

    weights: dict[str, int]
    """By dtype: float32, bfloat16, int8."""
    loading_int8: int
    """What int8 takes while it loads: it is rounded here, from float32."""
    batch: int | None
    """Keys and values of a full batch in float32: 4,096 input tokens, 64 rows of new ones."""


def estimate(config: Any, parameters: int, new: int) -> Estimate:
    """`config`: a `PreTrainedConfig`. `parameters`: numbers in the weights, shared ones once.
    `new`: new tokens at most of each row."""
    weights = {name: parameters * size for name, size in _BYTES.items()}
    return Estimate(
        weights={**weights, "int8": _int8(config, parameters)},
        loading_int8=weights["float32"],
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

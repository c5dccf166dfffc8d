"""What differs between the encoder-decoders that the native engine knows, and where it lies.

BART, mBART, PEGASUS and Marian are one family: absolute positions, biases, scaled queries, the
normalization before a layer or after it. T5 and mT5 are the other: relative positions, no
biases, no scaling, a feed-forward layer with or without a gate. The weights are the model's own.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from jobs.model_types import BART_LIKE, T5_LIKE

KNOWN = BART_LIKE | T5_LIKE

Norm = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Attention:
    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    output: nn.Linear
    norm: Norm


@dataclass(frozen=True, slots=True)
class Block:
    """One layer of a decoder."""

    own: Attention
    cross: Attention
    inner: tuple[nn.Linear, ...]
    """One linear layer, or two where the first, activated, gates the second."""
    outer: nn.Linear
    activation: Callable[[Tensor], Tensor]
    norm: Norm


@dataclass(frozen=True, slots=True)
class Family:
    """A decoder taken apart."""

    blocks: tuple[Block, ...]
    heads: int
    scaling: float
    norm_first: bool
    """Whether a layer normalizes what it reads, or the sum that it leaves."""
    embed: Callable[[Tensor], Tensor]
    embed_scale: float
    positions: Tensor | None
    """`[positions, width]`, added to the embeddings."""
    embed_norm: Norm | None
    final_norm: Norm | None
    relative: Callable[[int], Tensor] | None
    """For n positions: `[heads, n]`, the bias of a key that lies 0 … n-1 tokens back."""
    head: nn.Linear
    head_bias: Tensor | None
    head_scale: float


def take_apart(model: Any) -> Family:
    """`model`: a …ForConditionalGeneration of transformers 5."""
    return _t5(model) if model.config.model_type in T5_LIKE else _bart(model)


def emptied(family: Family) -> Family:
    """Without its layers, once they are packed: their plain weights are to be freed."""
    return replace(family, blocks=(), head=nn.Linear(1, 1, device="meta"))


def _bart(model: Any) -> Family:
    config, decoder = model.config, model.get_decoder()
    places = decoder.embed_positions
    return Family(
        blocks=tuple(_bart_block(layer) for layer in decoder.layers),
        heads=config.decoder_attention_heads,
        scaling=(config.d_model // config.decoder_attention_heads) ** -0.5,
        norm_first=config.model_type in ("mbart", "pegasus"),
        embed=decoder.embed_tokens,
        embed_scale=getattr(decoder, "embed_scale", 1.0),
        positions=places.weight[getattr(places, "offset", 0) :],
        embed_norm=getattr(decoder, "layernorm_embedding", None),
        final_norm=getattr(decoder, "layer_norm", None),
        relative=None,
        head=model.lm_head,
        head_bias=model.final_logits_bias[0],
        head_scale=1.0,
    )


def _bart_block(layer: Any) -> Block:
    own, cross = layer.self_attn, layer.encoder_attn
    return Block(
        own=Attention(own.q_proj, own.k_proj, own.v_proj, own.out_proj, layer.self_attn_layer_norm),
        cross=Attention(
            cross.q_proj, cross.k_proj, cross.v_proj, cross.out_proj, layer.encoder_attn_layer_norm
        ),
        inner=(layer.fc1,),
        outer=layer.fc2,
        activation=layer.activation_fn,
        norm=layer.final_layer_norm,
    )


def _t5(model: Any) -> Family:
    config, decoder = model.config, model.get_decoder()
    # transformers 5 scales by a mark of its own, which T5 has and mT5 has not.
    is_scaled = getattr(config, "scale_decoder_outputs", False)
    return Family(
        blocks=tuple(_t5_block(block) for block in decoder.block),
        heads=config.num_heads,
        scaling=1.0,
        norm_first=True,
        embed=decoder.embed_tokens,
        embed_scale=1.0,
        positions=None,
        embed_norm=None,
        final_norm=decoder.final_layer_norm,
        relative=_relative(decoder.block[0].layer[0].SelfAttention),
        head=model.lm_head,
        head_bias=None,
        head_scale=config.d_model**-0.5 if is_scaled and config.model_type == "t5" else 1.0,
    )


def _t5_block(block: Any) -> Block:
    own, cross, feed = block.layer
    dense = feed.DenseReluDense
    gated = hasattr(dense, "wi_0")
    return Block(
        own=_t5_attention(own.SelfAttention, own.layer_norm),
        cross=_t5_attention(cross.EncDecAttention, cross.layer_norm),
        inner=(dense.wi_0, dense.wi_1) if gated else (dense.wi,),
        outer=dense.wo,
        activation=dense.act,
        norm=feed.layer_norm,
    )


def _t5_attention(attention: Any, norm: Norm) -> Attention:
    return Attention(attention.q, attention.k, attention.v, attention.o, norm)


def _relative(attention: Any) -> Callable[[int], Tensor]:
    # Not the attention itself, whose weights are to be freed.
    table: nn.Embedding = attention.relative_attention_bias
    bucket = type(attention)._relative_position_bucket
    buckets_at_most = attention.relative_attention_num_buckets
    farthest = attention.relative_attention_max_distance

    def bias(count: int) -> Tensor:
        back = -torch.arange(count, device=table.weight.device)
        buckets = bucket(
            back, bidirectional=False, num_buckets=buckets_at_most, max_distance=farthest
        )
        biases: Tensor = table(buckets).T
        return biases

    return bias

"""One step of an encoder-decoder's decoder on the model's own weights.

Rows are beams, beam beside beam, document after document. The beams of a document share its
cross-attention: they are queries side by side against one set of keys.
"""

import torch
from torch import Tensor

from worker.engines.native import linear
from worker.engines.native.cache import Cache
from worker.engines.native.families import Block, Family, emptied
from worker.engines.native.linear import Dtype, Linear


class Layer:
    """A block with its projections fused and packed; queries come scaled."""

    def __init__(self, block: Block, heads: int, scaling: float, dtype: Dtype) -> None:
        own, cross = block.own, block.cross
        self.size = cross.key.out_features // heads
        self.own_in = Linear([own.query, own.key, own.value], dtype, [scaling, 1.0, 1.0])
        self.own_out = Linear([own.output], dtype)
        self.cross_in = Linear([cross.query], dtype, [scaling])
        self.cross_source = Linear([cross.key, cross.value], dtype)
        self.cross_out = Linear([cross.output], dtype)
        self.inner = [Linear([each], dtype) for each in block.inner]
        self.outer = Linear([block.outer], dtype)
        self.own_norm, self.cross_norm, self.norm = own.norm, cross.norm, block.norm
        self.activation = block.activation

    def feed(self, states: Tensor) -> Tensor:
        first = self.activation(self.inner[0].forward(states))
        return self.outer.forward(
            first if len(self.inner) == 1 else first * self.inner[1].forward(states)
        )


class Decoder:
    """The weights of a decoder, and how one step is computed with them."""

    def __init__(self, family: Family, dtype: Dtype) -> None:
        self._family = emptied(family)
        # Where weights have 8 bits, keys and values do with 16: to read them in float32 was a third
        # of the time.
        rounds = dtype == "int8" and linear.has_bfloat16()
        self._remembered = torch.bfloat16 if rounds else family.head.weight.dtype
        self._layers = [
            Layer(block, family.heads, family.scaling, dtype) for block in family.blocks
        ]
        self._head = Linear([family.head], dtype, [family.head_scale], family.head_bias)

    def remember(self, source: Tensor, mask: Tensor | None, beams: int, most: int) -> Cache:
        """`source`: `[documents, length, width]` from the encoder; `mask`: `[documents, length]`,
        1 for a token, 0 for padding, None where there is none."""
        documents, length, _ = source.shape
        heads, size = self._family.heads, self._layers[0].size
        shape = (len(self._layers), 2, documents, heads, length, size)
        cross = source.new_empty(shape, dtype=self._remembered)
        for number, layer in enumerate(self._layers):
            fused = layer.cross_source.forward(source).view(documents, length, 2, heads, size)
            cross[number] = fused.permute(2, 0, 3, 1, 4)
        bias = self._family.relative
        relative = None if bias is None else bias(most).to(self._remembered)
        padding = None if mask is None else _padding(mask, self._remembered)
        return Cache(cross, padding, beams, most, relative)

    def step(self, tokens: Tensor, cache: Cache) -> Tensor:
        """`tokens`: `[documents, beams]`. Returns `[documents * beams, width]`."""
        family = self._family
        states = family.embed(tokens.flatten())
        states = states if family.embed_scale == 1.0 else states * family.embed_scale
        if family.positions is not None:
            states = states + family.positions[cache.step]
        if family.embed_norm is not None:
            states = family.embed_norm(states)
        mask = cache.begin()
        for number, layer in enumerate(self._layers):
            states = self._layer(layer, number, states, cache, mask)
        cache.step += 1
        return states if family.final_norm is None else family.final_norm(states)

    def logits(self, hidden: Tensor) -> Tensor:
        """`[rows, vocabulary]`."""
        return self._head.forward(hidden)

    def _layer(
        self, layer: Layer, number: int, states: Tensor, cache: Cache, mask: Tensor
    ) -> Tensor:
        if self._family.norm_first:
            states = states + self._own(layer, number, layer.own_norm(states), cache, mask)
            states = states + self._cross(layer, number, layer.cross_norm(states), cache)
            return states + layer.feed(layer.norm(states))
        states = layer.own_norm(states + self._own(layer, number, states, cache, mask))
        states = layer.cross_norm(states + self._cross(layer, number, states, cache))
        return layer.norm(states + layer.feed(states))

    def _own(self, layer: Layer, number: int, states: Tensor, cache: Cache, mask: Tensor) -> Tensor:
        fused = layer.own_in.forward(states).view(
            cache.documents, -1, 3, self._family.heads, cache.size
        )
        fused = fused.permute(2, 0, 3, 1, 4)
        keys, values = cache.own(number, fused[1:])
        return layer.own_out.forward(self._attend(fused[0], keys, values, mask))

    def _cross(self, layer: Layer, number: int, states: Tensor, cache: Cache) -> Tensor:
        queries = layer.cross_in.forward(states).view(
            cache.documents, -1, self._family.heads, cache.size
        )
        keys, values = cache.cross(number)
        attended = self._attend(queries.transpose(1, 2), keys, values, cache.padding)
        return layer.cross_out.forward(attended)

    @staticmethod
    def _attend(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """Queries `[documents, heads, beams, size]`. Returns `[documents * beams, width]`.

        Two plain products: with few queries to a set of keys, torch's fused attention takes as
        long in float32 on a CPU, and 1.7 times (four beams) to 4.6 times (one) in bfloat16.
        """
        documents, heads, beams, size = queries.shape
        asked = _copied(queries, keys.dtype).view(-1, beams, size)
        scores = torch.bmm(asked, keys.transpose(1, 2))
        if mask is not None:
            scores.view(documents, heads, beams, -1).add_(mask)
        attended = torch.bmm(scores.softmax(dim=-1), values).view(documents, heads, beams, size)
        return _copied(attended.transpose(1, 2), queries.dtype).view(documents * beams, -1)


class Decoding:
    """A decoder with its memory of one batch: what the search drives."""

    def __init__(self, decoder: Decoder, cache: Cache) -> None:
        self._decoder, self._cache = decoder, cache

    def step(self, tokens: Tensor) -> Tensor:
        return self._decoder.step(tokens, self._cache)

    def logits(self, hidden: Tensor) -> Tensor:
        return self._decoder.logits(hidden)

    def follow(self, parents: Tensor) -> None:
        self._cache.follow(parents)

    def keep(self, documents: Tensor) -> None:
        self._cache.keep(documents)


def _padding(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Added to scores: 0 for a token, minus infinity for padding."""
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(
        mask == 0, float("-inf")
    )


def _copied(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """In one piece and of that dtype, in one go."""
    if tensor.dtype == dtype:
        return tensor.contiguous()
    return tensor.to(dtype, memory_format=torch.contiguous_format)

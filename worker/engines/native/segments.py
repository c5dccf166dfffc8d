"""What a decoder-only model remembers of a batch, each part of it once.

Keys and values stand in three segments: the prefix that all documents share (chat template,
instruction), the rest of each document's prompt, and what each of its rows (beams) has said
since. A step reads the three where they lie: nothing is copied per row or beam, and nothing
grows by copying. The model's own modules do the rest; they come here through the cache and
attention interfaces of transformers.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedConfig
from transformers.cache_utils import Cache
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from worker.engines.native.transfers import sent

ATTENTION = "gistmill-segments"
"""The name of `attend` among the attention functions of transformers. It has no mask function:
a model hands it the mask that it was given, or none."""

_BLOCK = 64
"""Tokens of a prompt that look back together, while it is read on a CPU."""


class Segments(Cache):
    """Keys and values of a batch of documents: filled first, in groups, then fed by steps.

    `prefix`: `[layers, 2, 1, key heads, tokens, size]`, 0 tokens where nothing is shared;
    `lengths`: `[documents]`, on the CPU, tokens of each prompt behind the prefix; `beams`: rows of
    each document; `most`: steps at most.
    """

    def __init__(self, prefix: Tensor, lengths: Tensor, beams: int, most: int) -> None:
        super().__init__(layers=[])
        self.documents, self.beams, self.step = len(lengths), beams, 0
        self.filling: Tensor | None = None
        """The documents whose prompts `update` gets; None: it gets a step of all rows."""
        self.prefix = prefix
        layers, _, _, heads, _, size = prefix.shape
        longest = int(lengths.max())
        # Zeros, because padding is masked but multiplied all the same, by zero.
        self._prompts = prefix.new_zeros((layers, 2, self.documents, heads, longest, size))
        rows = self.documents * beams
        self._said = prefix.new_empty((layers, 2, rows, heads, most, size))
        padding = torch.arange(longest) >= lengths[:, None]
        self._padding = sent(padding, prefix.device)[:, None, None, None]
        self._is_padded = int(lengths.min()) < longest

    @property
    def prompts(self) -> Tensor:
        """`[layers, 2, documents, key heads, tokens, size]`."""
        return self._prompts

    def update(
        self,
        key_states: Tensor,
        value_states: Tensor,
        layer_idx: int,
        *more: Any,  # noqa: ARG002 - as in transformers, where some caches take more
        **named: Any,  # noqa: ARG002
    ) -> tuple[Tensor, Tensor]:
        """Writes down `[rows, key heads, tokens, size]` twice and hands them back."""
        rows, tokens = len(key_states), key_states.shape[2]
        for kind, states in enumerate((key_states, value_states)):
            if self.filling is not None:
                self._prompts[layer_idx, kind, self.filling, :, :tokens] = states
            else:
                self._said[layer_idx, kind, :rows, :, self.step : self.step + 1] = states
        return key_states, value_states

    def follow(self, rows: Tensor) -> None:
        """Row i goes on from what row `rows[i]` has said. `rows`: `[documents * beams]`."""
        said = self._said[:, :, :, :, : self.step]
        said[:, :, : len(rows)] = said[:, :, rows]

    def repeat_first(self) -> None:
        """What stands in the first rows, one a document, is what all beams have said."""
        said = self._said[:, :, : self.documents, :, : self.step]
        repeated = said.repeat_interleave(self.beams, dim=2)
        self._said[:, :, : self.documents * self.beams, :, : self.step] = repeated

    def keep(self, documents: Tensor) -> None:
        """Only these documents stay, in this order. Those that stay in place cost nothing."""
        for place, document in enumerate(documents.tolist()):
            if place != document:
                self._prompts[:, :, place] = self._prompts[:, :, document]
                self._said[:, :, self._rows(place)] = self._said[:, :, self._rows(document)]
        self._padding = self._padding[documents]
        self.documents = len(documents)

    def attend(self, layer: int, query: Tensor, scaling: float) -> Tensor:
        """One step. `query`: `[rows, heads, 1, size]`. Returns the same shape."""
        rows, heads, _, size = query.shape
        prefix_keys, prefix_values = self.prefix[layer]
        keys, values = self._prompts[layer, :, : self.documents]
        said_keys, said_values = self._said[layer, :, :rows, :, : self.step + 1]
        key_heads = keys.shape[1]
        query = (query * scaling).view(rows, key_heads, heads // key_heads, size)
        scores = [
            query @ said_keys.transpose(2, 3),
            self._masked(_times(query, keys.transpose(2, 3))),
            _times(query, prefix_keys.transpose(2, 3)),
        ]
        weights = torch.cat(scores, dim=-1).softmax(dim=-1, dtype=torch.float32).to(query.dtype)
        lengths = [each.shape[-1] for each in scores]
        of_said, of_prompts, of_prefix = torch.split(weights, lengths, dim=-1)
        found: Tensor = of_said @ said_values
        found += _times(of_prompts, values)
        found += _times(of_prefix, prefix_values)
        return found.view(rows, heads, 1, size)

    def _masked(self, scores: Tensor) -> Tensor:
        """`scores`: `[rows, key heads, group, tokens]`, of prompts."""
        if not self._is_padded:
            return scores
        by_document = scores.view(self.documents, -1, *scores.shape[1:])
        return by_document.masked_fill(self._padding, float("-inf")).view_as(scores)

    def _rows(self, document: int) -> slice:
        return slice(document * self.beams, (document + 1) * self.beams)


def nothing(config: PreTrainedConfig, like: Tensor) -> Tensor:
    """A prefix of 0 tokens for a model of this shape; `like`: its dtype and device."""
    heads = config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    key_heads = getattr(config, "num_key_value_heads", None) or heads
    return like.new_zeros((config.num_hidden_layers, 2, 1, key_heads, 0, size))


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    segments: Segments,
    **options: Any,
) -> tuple[Tensor, None]:
    """What the model's attention modules call, `segments` handed through `forward`."""
    layer: Any = module.layer_idx
    if segments.filling is None:
        found = segments.attend(layer, query, options["scaling"])
        return found.transpose(1, 2), None
    if segments.prefix.shape[4]:
        keys, values = segments.prefix[layer].expand(-1, len(query), -1, -1, -1)
        key, value = torch.cat((keys, key), dim=2), torch.cat((values, value), dim=2)
    if query.device.type == "cpu":
        return _look_back(query * options["scaling"], key, value).transpose(1, 2), None
    output: tuple[Tensor, None] = sdpa_attention_forward(
        module, query, key, value, attention_mask, **options
    )
    return output


def _look_back(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Causal attention, block by block over no more than a block may see. Like torch's fused
    attention in float32, where that computes what it then masks; in bfloat16 in half its time.

    `query`: `[rows, heads, tokens, size]`; `key`, `value`: `[rows, key heads, before + tokens,
    size]`. Returns as `query`.
    """
    rows, heads, tokens, size = query.shape
    key, value = key.contiguous(), value.contiguous()
    key_heads, before = key.shape[1], key.shape[2] - tokens
    grouped = query.reshape(rows, key_heads, heads // key_heads, tokens, size)
    later = torch.full((_BLOCK, _BLOCK), float("-inf"), dtype=query.dtype).triu(1)
    found = []
    for start in range(0, tokens, _BLOCK):
        block = grouped[:, :, :, start : start + _BLOCK]
        count = block.shape[3]
        seen = before + start + count
        scores = block.flatten(2, 3) @ key[:, :, :seen].transpose(2, 3)
        scores = scores.view(*block.shape[:4], seen)
        scores[..., before + start :] += later[:count, :count]
        weights = scores.softmax(dim=-1).flatten(2, 3)
        found.append((weights @ value[:, :, :seen]).view(rows, heads, count, size))
    return torch.cat(found, dim=2)


def _times(left: Tensor, right: Tensor) -> Tensor:
    """`left`: `[rows, key heads, group, n]`; `right`: `[sharers, key heads, n, m]`, each shared
    by as many rows side by side, in one product. Returns `[rows, key heads, group, m]`."""
    rows, heads, group, inner = left.shape
    sharers, _, _, outer = right.shape
    if sharers == rows:
        return left @ right
    each = rows // sharers
    folded = left.reshape(sharers, each, heads, group, inner).transpose(1, 2).flatten(2, 3)
    product = (folded @ right).view(sharers, heads, each, group, outer)
    return product.transpose(1, 2).reshape(rows, heads, group, outer)


AttentionInterface.register(ATTENTION, attend)

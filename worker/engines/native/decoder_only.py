"""Decoder-only models: reading prompts, and one step of a batch, on the model's own modules.

All documents of a job stand in the same prompt, so the tokens that they begin with are read
once and kept for the next batch. The rest of each prompt is read in groups of like length.
The last token of a prompt is left for the first step, so that reading needs no logits.
Which families and configurations this is exact for, `unsupported` says.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

from jobs.model_types import DECODER_ONLY
from worker.engines.native import linear
from worker.engines.native.segments import ATTENTION, Segments, nothing
from worker.engines.native.transfers import sent

_GROUP = 2048
"""Tokens that are read at once: enough for the processor's full speed, little memory."""
_NEGLIGIBLE = 8
"""So many shared tokens more are no reason to read another prefix."""


class DecoderOnly:
    """A model that is taken over: it attends through `segments` from here on."""

    def __init__(self, model: PreTrainedModel, dtype: linear.Dtype) -> None:
        self._nothing = nothing(model.config, next(model.parameters()))
        model.set_attn_implementation(ATTENTION)
        with torch.inference_mode():
            linear.pack(model, dtype)
        self._model = model
        self._prefix: tuple[list[int], Tensor] = ([], self._nothing)

    def read(self, batch: Sequence[list[int]], beams: int, most: int) -> "Decoding":
        """`batch`: prompts, one token long at least; `most`: new tokens at most."""
        ids, prefix = self._shared(batch)
        rests = [each[len(ids) : -1] for each in batch]
        lengths = torch.tensor([len(each) for each in rests])
        segments = Segments(prefix, lengths, beams, most)
        for documents in _groups(rests):
            self._fill(segments, [rests[each] for each in documents], documents)
        segments.filling = None
        return Decoding(self._model, segments, sent(lengths + len(ids), self._model.device))

    def _shared(self, batch: Sequence[list[int]]) -> tuple[list[int], Tensor]:
        """Ids that all prompts begin with, and their keys and values; as a rule those of the
        last batch. Never a prompt's last token."""
        kept, states = self._prefix
        first, last = min(batch), max(batch)  # what these two share, all do
        common = first[: min(_alike(first, last), min(len(each) for each in batch) - 1)]
        usable = _alike(kept, common)
        if len(batch) > 1 and len(common) > usable + _NEGLIGIBLE:
            kept, states = self._prefix = common, self._read_prefix(common)
            usable = len(common)
        return kept[:usable], states[..., :usable, :]

    def _read_prefix(self, ids: list[int]) -> Tensor:
        segments = Segments(self._nothing, torch.tensor([len(ids)]), 1, 0)
        self._fill(segments, [ids], [0])
        return segments.prompts

    def _fill(self, segments: Segments, rows: list[list[int]], documents: list[int]) -> None:
        longest = max(len(each) for each in rows)
        if longest == 0:
            return
        # What stands behind a row's end is never seen: any token will do.
        padded = [each + [0] * (longest - len(each)) for each in rows]
        before = segments.prefix.shape[4]
        device = self._model.device
        segments.filling = sent(torch.tensor(documents), device)
        self._model.base_model(
            input_ids=sent(torch.tensor(padded), device),
            position_ids=before + torch.arange(longest, device=device)[None],
            attention_mask=_causal(before, longest, segments.prefix),
            past_key_values=segments,
            use_cache=True,
            segments=segments,
        )


class Decoding:
    """A model with what it remembers of one batch: what the search drives.

    `positions`: `[documents]`, where the last token of each prompt stands.
    """

    def __init__(self, model: PreTrainedModel, segments: Segments, positions: Tensor) -> None:
        self._model, self._segments, self._positions = model, segments, positions

    def step(self, tokens: Tensor) -> Tensor:
        """`tokens`: `[documents, beams]`, the newest. Returns logits, `[documents * beams,
        vocabulary]`: a model may do more to them than multiply."""
        segments = self._segments
        if segments.step:
            return self._logits(tokens)
        # At first all beams of a document are alike.
        logits = self._logits(tokens[:, :1])
        segments.repeat_first()
        return logits.repeat_interleave(segments.beams, dim=0)

    def logits(self, hidden: Tensor) -> Tensor:
        return hidden

    def follow(self, parents: Tensor) -> None:
        """Beam j of document i goes on from beam `parents[i, j]`."""
        firsts = torch.arange(len(parents), device=parents.device)[:, None] * self._segments.beams
        self._segments.follow((firsts + parents).flatten())

    def keep(self, documents: Tensor) -> None:
        self._segments.keep(documents)
        self._positions = self._positions[documents]

    def _logits(self, tokens: Tensor) -> Tensor:
        positions = (self._positions[:, None] + self._segments.step).expand_as(tokens)
        output = self._model(
            input_ids=tokens.flatten()[:, None],
            position_ids=positions.flatten()[:, None],
            past_key_values=self._segments,
            use_cache=True,
            segments=self._segments,
        )
        self._segments.step += 1
        logits: Tensor = output.logits[:, -1]
        return logits


def opening(batch: Sequence[list[int]], device: torch.device) -> Tensor:
    """The prompts as a search reads them: `[documents, longest]`, -1 in front of the shorter."""
    longest = max(len(ids) for ids in batch)
    return sent(torch.tensor([[-1] * (longest - len(ids)) + ids for ids in batch]), device)


def unsupported(config: PreTrainedConfig) -> str | None:
    """What of a model's configuration is not known here, in a few words."""
    if config.model_type not in DECODER_ONLY:
        return f"model_type {config.model_type}"
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    # Mistral and Phi-3 have no layer types: a window is everywhere.
    windowed = config.model_type in ("mistral", "phi3") and config.sliding_window is not None
    if kinds != {"full_attention"} or windowed:
        return "sliding windows"
    rope = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
    if rope in ("dynamic", "longrope"):
        # Its angles depend on the longest row of the batch.
        return f"rope_type {rope}"
    return None


def _alike(one: list[int], other: list[int]) -> int:
    """How many ids at the beginning are the same."""
    for place, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return place
    return min(len(one), len(other))


def _groups(rows: Sequence[list[int]]) -> Iterator[list[int]]:
    """Places of rows of like length, shortest first, `_GROUP` tokens together with padding."""
    group: list[int] = []
    for place in sorted(range(len(rows)), key=lambda each: len(rows[each])):
        if group and (len(group) + 1) * len(rows[place]) > _GROUP:
            yield group
            group = []
        group.append(place)
    yield group


def _causal(before: int, tokens: int, like: Tensor) -> Tensor | None:
    """Added to scores: `[1, 1, tokens, before + tokens]`, each token sees those up to itself.
    None where attention needs no telling."""
    if before == 0 or like.device.type == "cpu":
        return None
    hidden = torch.ones((tokens, before + tokens), dtype=torch.bool, device=like.device)
    mask = like.new_zeros(hidden.shape).masked_fill(hidden.triu(before + 1), float("-inf"))
    return mask[None, None]

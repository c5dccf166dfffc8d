"""The native engine: a decoding loop of our own on a model's own modules and weights.

For encoder-decoders of the families in `families` and decoder-only models of those in
`decoder_only`, on any device. Where it does not know a model or a parameter, `unsupported` says
so, and `transformers` does it. Its texts are those of `generate`; what makes it faster is in the
parts: `cache` and `segments` (a document's keys and values stand once, for all its beams),
`encoder` (no padding), `linear` (packed weights),
`search` (who is done leaves), `rules` and `scoring` (no pass over the vocabulary that is not
needed).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import (
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from jobs.parameters import Effective
from worker.engines import Generated, device_errors
from worker.engines.hugging_face import HuggingFaceEngine, as_list, generated
from worker.engines.native import (
    decoder_only,
    encoder,
    families,
    linear,
    memory,
    rules,
    sampling,
    search,
)
from worker.engines.native.beams import Beams
from worker.engines.native.decoder import Decoder, Decoding
from worker.engines.native.decoder_only import DecoderOnly
from worker.engines.native.linear import Dtype
from worker.engines.native.rows import Rows
from worker.engines.native.transfers import sent
from worker.generation import Kind, new_tokens


class NativeEngine(HuggingFaceEngine):
    """One loaded model on one device; it is taken over, and no one else may use it afterwards.

    `dtype`: "int8" for a model that was loaded in float32, else the dtype that it has.
    """

    name = "native"

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, kind: Kind, dtype: Dtype
    ) -> None:
        super().__init__(model, tokenizer, kind)
        if self._device.type == "cpu":
            memory.hold()
        if kind == "decoder-only":
            self._decoder_only = DecoderOnly(model, dtype)
            return
        self._encoder: Any = model.get_encoder()
        self._attends_by_document = (
            self._device.type == "cpu"
            and dtype != "float32"
            and linear.has_bfloat16()
            and encoder.knows(model.config)
        )
        if self._attends_by_document:
            encoder.settle(self._encoder)
        with torch.inference_mode():
            self._decoder = Decoder(families.take_apart(model), dtype)
            linear.pack(self._encoder, dtype)

    def generate(
        self, batch: Sequence[list[int]], effective: Effective, seeds: Sequence[int]
    ) -> list[Generated]:
        fields = {**self._special, **effective.generation}
        rows = device_errors.named(lambda: self._generate(batch, fields, seeds))
        config = GenerationConfig(**fields)
        return [generated(row, config) for row in rows]

    @torch.inference_mode()
    def _generate(
        self, batch: Sequence[list[int]], fields: dict[str, Any], seeds: Sequence[int]
    ) -> list[list[int]]:
        beams, most = fields.get("num_beams", 1), new_tokens(fields)
        if self._kind == "decoder-only":
            opening = decoder_only.opening(batch, self._device)
        else:
            start = self._start(fields)
            opening = torch.full((len(batch), 1), start, device=self._device)
        ends = as_list(fields["eos_token_id"])
        # Before the model reads: what they send to the device would wait for that.
        settled = rules.Rules(fields, ends, opening.shape[1], self._device)
        how = self._search(opening, fields, settled, seeds)
        decoding = self._read(batch, beams, most)
        return search.run(decoding, how, settled, opening[:, -1:].expand(-1, beams), most)

    def _read(self, batch: Sequence[list[int]], beams: int, most: int) -> search.Decoder:
        if self._kind == "decoder-only":
            return self._decoder_only.read(batch, beams, most)
        ids, mask = _padded(batch, self._special["pad_token_id"], self._device)
        widened = encoder.widened(mask) if self._attends_by_document else mask
        source = self._encoder(input_ids=ids, attention_mask=widened).last_hidden_state
        return Decoding(self._decoder, self._decoder.remember(source, mask, beams, most))

    def _search(
        self, opening: Tensor, fields: dict[str, Any], settled: rules.Rules, seeds: Sequence[int]
    ) -> search.Search:
        most = new_tokens(fields)
        ends = torch.tensor(as_list(fields["eos_token_id"]), dtype=torch.long, device=self._device)
        if fields.get("num_beams", 1) > 1:
            penalty, early = fields.get("length_penalty", 1.0), fields.get("early_stopping", False)
            beams = Beams(opening, fields["num_beams"], most, ends, penalty, early)
            return search.BeamSearch(beams, settled)
        sampled = fields.get("do_sample")
        chooser = sampling.Sampler(fields, seeds, most, self._device) if sampled else None
        return search.RowSearch(Rows(opening, most, ends, chooser or sampling.Greedy()), settled)

    def _start(self, fields: dict[str, Any]) -> int:
        start = fields["decoder_start_token_id"]
        start = fields["bos_token_id"] if start is None else start
        if start is None:
            raise ValueError("no decoder_start_token_id, and no bos_token_id in its place")
        return int(start)


def unsupported(
    config: PreTrainedConfig, kind: Kind, effective: Effective, dtype: str = "float32"
) -> str | None:
    """What this engine can not do of what is asked, in a few words; None where it does it all."""
    if getattr(config, "quantization_config", None) is not None:
        return "quantized weights"
    if kind == "decoder-only":
        strange = decoder_only.unsupported(config)
    else:
        strange = None if config.model_type in families.KNOWN else f"model_type {config.model_type}"
    if strange:
        return strange
    if dtype not in ("float32", "bfloat16", "int8"):
        return dtype
    if dtype == "int8" and not linear.can_round():
        return "int8 with this build of torch"
    fields = effective.generation
    return sampling.unsupported(fields) or rules.unsupported(fields)


def _padded(
    batch: Sequence[list[int]], pad: int, device: torch.device
) -> tuple[Tensor, Tensor | None]:
    """Ids and mask, `[documents, longest]` each, padded at the end; no mask where none is."""
    lengths = [len(ids) for ids in batch]
    longest = max(lengths)
    ids = torch.tensor([each + [pad] * (longest - len(each)) for each in batch])
    if min(lengths) == longest:
        return sent(ids, device), None
    mask = (torch.arange(longest) < torch.tensor(lengths)[:, None]).long()
    return sent(ids, device), sent(mask, device)

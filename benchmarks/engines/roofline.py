"""The least time that a machine could take: its peaks, measured, and the work, counted.

`peaks` measures this machine; `Work` counts operations and bytes of a case from the model's own
matrices, which are never loaded for that. docs/benchmarks.md derives the formula.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, prod
from time import perf_counter
from typing import Any

import torch

from worker import model_files
from worker.models import Resolved

_ROWS = (256, 1024, 4096)
_BYTES = {"float32": 4, "bfloat16": 2, "int8": 1}
_STATE_BYTES = {"float32": 4, "bfloat16": 2, "int8": 4}
"""Of a number in keys and values: int8 is for weights, and for what meets them."""
_SECONDS = 0.3


@dataclass(frozen=True)
class Peaks:
    """`flops`: operations a second by dtype; `bandwidth`: bytes a second, read."""

    flops: dict[str, float]
    bandwidth: float

    def or_better(self, others: "Peaks") -> "Peaks":
        """The higher of each: what was measured while something else ran is no peak."""
        flops = {dtype: max(self.flops[dtype], others.flops[dtype]) for dtype in self.flops}
        return Peaks(flops, max(self.bandwidth, others.bandwidth))

    def said(self) -> str:
        each = ", ".join(f"{dtype} {flops / 1e9:.0f}" for dtype, flops in self.flops.items())
        return f"Peaks, measured: {each} GFLOP/s; {self.bandwidth / 1e9:.1f} GB/s of memory."


@dataclass(frozen=True)
class Work:
    """Of one model, from its linear layers; widths are summed over the layers."""

    encoder: int
    """Weights that every input token meets."""
    cross: int
    """Weights that make keys and values of the encoder's output."""
    decoder: int
    """Weights that every new token meets, without those of `head`."""
    head: int
    encoder_width: int
    self_width: int
    cross_width: int
    """Of the queries: a token's scores and sums cost 4 operations per position and width."""
    self_state: int
    cross_state: int
    """Numbers kept per position: keys and values."""
    writes_on: bool
    """Decoder-only: the input goes through the decoder itself."""
    layer: tuple[int, int]
    """Inputs and outputs of its largest matrix but the head."""

    def least_seconds(
        self, sources: Sequence[int], new: Sequence[int], beams: int, dtype: str, peaks: Peaks
    ) -> float:
        """All documents in one batch, no padding, each as many steps as its summary has tokens."""
        bounds = [self._read(sources, dtype)]
        for step in range(max(new)):
            going = [n for n, steps in zip(sources, new, strict=True) if steps > step]
            bounds.append(self._step(going, step, beams, dtype))
        peak = peaks.flops[dtype]
        return sum(max(flops / peak, moved / peaks.bandwidth) for flops, moved in bounds)

    def _read(self, sources: Sequence[int], dtype: str) -> tuple[float, float]:
        tokens, squares = sum(sources), sum(n * n for n in sources)
        if self.writes_on:
            # Half of the scores are masked; only the last token needs logits.
            flops = 2 * self.decoder * tokens + 2 * self.self_width * squares
            flops += 2 * self.head * len(sources)
            return flops, (self.decoder + self.head) * _BYTES[dtype]
        weights = self.encoder + self.cross
        return 2 * weights * tokens + 4 * self.encoder_width * squares, weights * _BYTES[dtype]

    def _step(
        self, sources: Sequence[int], step: int, beams: int, dtype: str
    ) -> tuple[float, float]:
        rows, tokens, state = len(sources) * beams, sum(sources), _STATE_BYTES[dtype]
        weights = self.decoder + self.head
        flops = 2 * weights * rows
        moved = weights * _BYTES[dtype]
        if self.writes_on:
            positions = beams * tokens + rows * step
            flops += 4 * self.self_width * positions
            moved += self.self_state * positions * state
        else:
            flops += 4 * (self.cross_width * beams * tokens + self.self_width * rows * step)
            moved += (self.cross_state * tokens + self.self_state * rows * step) * state
        return flops, moved


def work_of(resolved: Resolved) -> Work:
    """Reads the configuration; no weights."""
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    assert resolved.folder is not None
    config = model_files.read_config(resolved.folder, resolved.name)
    writes_on = resolved.kind == "decoder-only"
    auto: Any = AutoModelForCausalLM if writes_on else AutoModelForSeq2SeqLM
    with torch.device("meta"):
        model = auto.from_config(config)
    head = model.get_output_embeddings()
    linear = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not head
    }
    return _counted(linear, head.weight.numel(), writes_on)


def _counted(linear: dict[str, torch.nn.Linear], head: int, writes_on: bool) -> Work:
    def weights(part: str) -> int:
        return sum(m.weight.numel() for name, m in linear.items() if _part(name) == part)

    def wide(part: str, *ends: str) -> int:
        """Outputs of all projections of this part that are called so."""
        return sum(
            module.out_features
            for name, module in linear.items()
            if _attention(name) == part and name.rpartition(".")[2] in ends
        )

    queries, states = ("q_proj", "q"), ("k_proj", "v_proj", "k", "v")
    return Work(
        encoder=weights("encoder"),
        cross=weights("cross"),
        decoder=weights("decoder"),
        head=head,
        encoder_width=wide("encoder", *queries),
        self_width=wide("self", *queries),
        cross_width=wide("cross", *queries),
        self_state=wide("self", *states),
        cross_state=wide("cross", *states),
        writes_on=writes_on,
        layer=max(
            ((m.in_features, m.out_features) for m in linear.values()), key=lambda size: prod(size)
        ),
    )


def _attention(name: str) -> str:
    if "encoder_attn" in name or "EncDecAttention" in name:
        return "cross"
    return "encoder" if "encoder" in name.split(".") else "self"


def _part(name: str) -> str:
    """Keys and values of the encoder's output are made once; the rest of cross-attention
    works at every step."""
    if _attention(name) == "cross":
        made_once = name.rpartition(".")[2] in ("k_proj", "v_proj", "k", "v")
        return "cross" if made_once else "decoder"
    return "encoder" if _attention(name) == "encoder" else "decoder"


def peaks(layer: tuple[int, int], threads: int) -> Peaks:
    """The best of several row counts at a layer of a model's; memory by reading 256 MiB."""
    torch.set_num_threads(threads)
    with torch.inference_mode():
        flops = {dtype: max(_gemm(dtype, rows, *layer) for rows in _ROWS) for dtype in _BYTES}
        return Peaks(flops, _bandwidth())


def _gemm(dtype: str, rows: int, width: int, ffn: int) -> float:
    layer: Any = torch.nn.Linear(width, ffn, bias=False)
    inputs = torch.randn(rows, width)
    if dtype == "int8":
        quantize: Any = torch.ao.quantization.quantize_dynamic
        layer = quantize(torch.nn.Sequential(layer), dtype=torch.qint8)
    else:
        layer, inputs = layer.to(getattr(torch, dtype)), inputs.to(getattr(torch, dtype))
    return 2 * rows * width * ffn / _fastest(lambda: layer(inputs))


def _bandwidth() -> float:
    numbers = torch.ones(64 * 2**20)
    return numbers.numel() * numbers.element_size() / _fastest(numbers.sum)


def _fastest(call: Any) -> float:
    """Seconds of the fastest of as many calls as fit into the time for it."""
    best, ends = inf, perf_counter() + _SECONDS
    while perf_counter() < ends:
        began = perf_counter()
        call()
        best = min(best, perf_counter() - began)
    return best

"""Linear layers in the form that the processor multiplies fastest.

On a CPU weights are laid out once, as oneDNN's kernels read them, in float32 or bfloat16;
elsewhere, and where oneDNN is not there, they stay as they are. "int8": weights are rounded to
8 bits with a scale for each output, activations to 8 bits on the way in, with one scale for
all of a batch, so that a document's neighbours can change its text.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Dtype = Literal["float32", "bfloat16", "int8"]

_ENGINE = "onednn"
"""torch's name for who multiplies 8-bit weights."""
_ROWS = 64
"""Rows that oneDNN is told to expect when it lays out weights; more or fewer work as well."""


class Linear(nn.Module):
    """One or several layers that read the same input, their outputs side by side.

    The decoder calls `forward` itself: it has no hooks, and its result a type.

    `scales`: one for each layer, which multiplies its outputs. `bias` stands for the layers' own.
    """

    weight: None = None
    """What T5 asks of a layer, to know its dtype."""

    def __init__(
        self,
        layers: Sequence[nn.Linear],
        dtype: Dtype,
        scales: Sequence[float] = (),
        bias: Tensor | None = None,
    ) -> None:
        super().__init__()
        scales = scales or [1.0] * len(layers)
        weights = [layer.weight * scale for layer, scale in zip(layers, scales, strict=True)]
        self._multiply = _kernel(
            torch.cat(weights), _bias(layers, scales) if bias is None else bias, dtype
        )

    def forward(self, states: Tensor) -> Tensor:
        """`[…, inputs]` to `[…, outputs]`."""
        return self._multiply(states)


def pack(module: nn.Module, dtype: Dtype) -> None:
    """Every linear layer inside `module` in its packed form, in place of the plain one."""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Linear):
            setattr(module, name, Linear([child], dtype))
        else:
            pack(child, dtype)


def _bias(layers: Sequence[nn.Linear], scales: Sequence[float]) -> Tensor | None:
    """The layers' biases, zeros for a layer without; None where none has any."""
    if all(layer.bias is None for layer in layers):
        return None
    parts = [
        layer.weight.new_zeros(layer.out_features) if layer.bias is None else layer.bias * scale
        for layer, scale in zip(layers, scales, strict=True)
    ]
    return torch.cat(parts)


def _kernel(weight: Tensor, bias: Tensor | None, dtype: Dtype) -> Callable[[Tensor], Tensor]:
    bias = None if bias is None else bias.to(weight.dtype)
    if dtype == "int8":
        return _int8(weight, bias)
    if not _is_packed(weight):
        return lambda states: functional.linear(states, weight, bias)
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, _ROWS)

    def multiply(states: Tensor) -> Tensor:
        product: Tensor = torch.ops.mkldnn._linear_pointwise(states, packed, bias, "none", [], "")
        return product

    return multiply


def _is_packed(weight: Tensor) -> bool:
    """Whether oneDNN multiplies such a weight on this processor: bfloat16 not on every one."""
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call] # torch's own
        return False
    return has_bfloat16() if weight.dtype == torch.bfloat16 else weight.dtype == torch.float32


def has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 faster than float32."""
    there = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call] # torch's own
    return bool(there and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def can_round() -> bool:
    """Whether this build of torch multiplies 8-bit weights as `_int8` has it do."""
    return _ENGINE in torch.backends.quantized.supported_engines


def _int8(weight: Tensor, bias: Tensor | None) -> Callable[[Tensor], Tensor]:
    scales = (weight.abs().amax(dim=1) / 127).clamp(min=1e-12).double()
    zeros = torch.zeros(len(weight), dtype=torch.long)
    with _quantized_by_onednn():
        rounded = torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
        packed = torch.ops.quantized.linear_prepack(rounded, bias)

    def multiply(states: Tensor) -> Tensor:
        product: Tensor = torch.ops.quantized.linear_dynamic(states, packed, False)
        return product

    return multiply


@contextmanager
def _quantized_by_onednn() -> Iterator[None]:
    """torch packs for the engine that it is set to; what was packed remembers it."""
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = _ENGINE
    try:
        with warnings.catch_warnings():
            # It is to go some day; in the pinned release it is the one whole path to int8.
            warnings.filterwarnings("ignore", "torch.quantize_per_tensor")
            yield
    finally:
        torch.backends.quantized.engine = before

"""Linear layers in the form that the processor multiplies fastest.

On a CPU weights are laid out once as oneDNN's kernels read them, in float32 or bfloat16;
elsewhere, and where oneDNN is not there, they stay as they are. "int8": weights are rounded to
8 bits with a scale for each output, activations to 8 bits on the way in.
"""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Dtype = Literal["float32", "bfloat16", "int8"]


class Linear(nn.Module):
    """One or several layers that read the same input, their outputs side by side.

    `scale` multiplies the outputs, `bias` is added to them in the place of the layers' own.
    """

    def __init__(
        self,
        layers: Sequence[nn.Linear],
        dtype: Dtype,
        scale: float = 1.0,
        bias: Tensor | None = None,
    ) -> None:
        super().__init__()
        with torch.no_grad():
            weight = torch.cat([layer.weight for layer in layers])
            weight = weight if scale == 1.0 else weight * scale
            self._multiply = _kernel(weight, _bias(layers) if bias is None else bias, dtype)

    def forward(self, states: Tensor) -> Tensor:
        """`[…, inputs]` to `[…, outputs]`."""
        output: Tensor = self._multiply(states)
        return output


def _bias(layers: Sequence[nn.Linear]) -> Tensor | None:
    """The layers' biases, zeros for a layer without; None where none has any."""
    if all(layer.bias is None for layer in layers):
        return None
    parts = [
        layer.weight.new_zeros(layer.out_features) if layer.bias is None else layer.bias
        for layer in layers
    ]
    return torch.cat(parts)


def _kernel(weight: Tensor, bias: Tensor | None, dtype: Dtype) -> Any:
    bias = None if bias is None else bias.to(weight.dtype)
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return lambda states: functional.linear(states, weight, bias)
    packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), 0)
    return lambda states: torch.ops.mkldnn._linear_pointwise(states, packed, bias, "none", [], "")

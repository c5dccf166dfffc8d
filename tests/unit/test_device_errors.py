"""torch's errors of memory and device, as every engine names them."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from jobs.parameters import Effective
from worker.engines import DeviceLost, OutOfMemory
from worker.engines.transformers import TransformersEngine

EFFECTIVE = Effective(generation={"max_new_tokens": 4})


class Model:
    """Fails as it is told to, with a tensor in hand."""

    device = torch.device("cpu")
    generation_config = SimpleNamespace(
        bos_token_id=0, eos_token_id=1, pad_token_id=2, decoder_start_token_id=0
    )

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    def eval(self) -> "Model":
        return self

    def generate(self, **_: Any) -> torch.Tensor:
        if self._error:
            raise self._error
        # As many bytes as no machine has: the allocator itself says no.
        return torch.empty(2**50, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (torch.OutOfMemoryError("CUDA out of memory.\nTried"), OutOfMemory("CUDA out of memory.")),
        (torch.AcceleratorError("CUDA error: assert\nsee"), DeviceLost("CUDA error: assert")),
    ],
)
def test_they_are_named(error: Exception, named: Exception) -> None:
    with pytest.raises(type(named)) as raised:
        _generate(error)
    assert str(raised.value) == str(named)
    assert raised.value.__context__ is None, "which would keep the memory"


def test_the_memory_of_a_cpu() -> None:
    with pytest.raises(OutOfMemory, match="can't allocate memory"):
        _generate(None)


def test_others_stay_as_they_are() -> None:
    with pytest.raises(RuntimeError, match="index out of range"):
        _generate(RuntimeError("index out of range in self"))


def _generate(error: Exception | None) -> None:
    model: Any = Model(error)
    tokenizer: Any = SimpleNamespace()
    TransformersEngine(model, tokenizer, "encoder-decoder").generate([[3, 4]], EFFECTIVE, [0])

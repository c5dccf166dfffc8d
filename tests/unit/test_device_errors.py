"""torch's errors of memory and device, as every engine names them."""

import weakref
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import BartForConditionalGeneration

from jobs.parameters import Effective
from tests.models import tiny_bart
from worker import model_files
from worker.engines import DeviceLost, OutOfMemory, device_errors
from worker.engines.transformers import TransformersEngine

EFFECTIVE = Effective(generation={"max_new_tokens": 4})
FULL = ["CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"]
LOST = [
    "CUDA error: an illegal memory access was encountered",
    "CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`",
    "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED",
    "HIP error: unspecified launch failure",
]


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
        *((RuntimeError(says), OutOfMemory(says)) for says in FULL),
        *((RuntimeError(says), DeviceLost(says)) for says in LOST),
    ],
)
def test_they_are_named(error: Exception, named: Exception) -> None:
    with pytest.raises(type(named)) as raised:
        _generate(error)
    assert str(raised.value) == str(named)
    assert raised.value.__context__ is None, "which would keep the memory"


def test_what_was_in_hand_is_let_go() -> None:
    """At once, not when the next collection finds a ring of references."""
    kept: list[weakref.ref[torch.Tensor]] = []

    def work() -> None:
        tensor = torch.zeros(1)
        kept.append(weakref.ref(tensor))
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with suppress(OutOfMemory):
        device_errors.named(work)
    assert kept[0]() is None


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), MemoryError),
        (torch.AcceleratorError("CUDA error: unknown"), DeviceLost),
        (RuntimeError("CUDA error: no kernel image is available"), DeviceLost),
    ],
)
@pytest.mark.parametrize("method", ["from_pretrained", "to"])
def test_while_the_model_loads(
    error: Exception,
    named: type[Exception],
    method: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They say nothing of the model, which must not fail the job."""

    def fail(*_: object, **__: object) -> None:
        raise error

    folder = tiny_bart(tmp_path / "bart")
    monkeypatch.setattr(BartForConditionalGeneration, method, fail)
    with pytest.raises(named) as raised:
        model_files.load(folder, "encoder-decoder", "float32", "cpu", "bart")
    assert raised.value.__context__ is None


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

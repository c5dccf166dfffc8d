"""torch's errors of memory and device under our names, wherever a device is used.

What a device reports comes as a RuntimeError as often as under a class of its own. Other
errors stay as they are: who asked knows what they mean.
"""

from collections.abc import Callable
from typing import TypeVar

import torch

from worker.engines import DeviceLost, OutOfMemory

Made = TypeVar("Made")

_OUT_OF_MEMORY = (
    "can't allocate memory",  # the CPU's allocator
    "CUBLAS_STATUS_ALLOC_FAILED",
)
_DEVICE_LOST = ("CUDA error", "CUBLAS_STATUS", "cuDNN error", "HIP error")


def named(work: Callable[[], Made], out_of_memory: type[Exception] = OutOfMemory) -> Made:
    """What `work` returns. Raises DeviceLost, and `out_of_memory`, in one line each.

    No context manager: what `__exit__` raises keeps the error that it was given, and torch's
    own error, by its traceback, every tensor in hand, with the memory that is to be free again.
    """
    try:
        return work()
    except RuntimeError as error:
        kind = _kind(error, out_of_memory)
        if kind is None:
            raise
        trouble = kind(str(error).partition("\n")[0])
    raise trouble  # here it has no context


def _kind(error: RuntimeError, out_of_memory: type[Exception]) -> type[Exception] | None:
    text = str(error)
    if isinstance(error, torch.AcceleratorError):
        return DeviceLost
    if isinstance(error, torch.OutOfMemoryError) or any(sign in text for sign in _OUT_OF_MEMORY):
        return out_of_memory
    return DeviceLost if any(sign in text for sign in _DEVICE_LOST) else None

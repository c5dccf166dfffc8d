"""How the process keeps the memory that a step frees and the next one wants again."""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Names of glibc's malloc.h."""


def hold() -> None:
    """Freed memory stays with the process: a step's logits are tens of megabytes, and pages fresh
    from the kernel cost a fifth to a half of the time that it takes to fill them. Linux with
    glibc only; elsewhere this does nothing."""
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_MMAP_THRESHOLD, 1 << 30)
        library.mallopt(_TRIM_THRESHOLD, 2**31 - 1)

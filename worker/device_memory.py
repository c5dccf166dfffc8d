"""How much memory this process and its device use, in bytes, asked of what is loaded already.

Never measured on a GPU: none was at hand.
"""

import os
import sys
from pathlib import Path
from typing import Any

_STATM = Path("/proc/self/statm")


def resident() -> int:
    """Of this process; 0 where the system does not say."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def of(device: str) -> dict[str, int]:
    """`allocated`, `reserved` and `total` of a GPU; nothing of a CPU, or before torch is loaded."""
    if (torch := _torch(device)) is None:
        return {}
    return {
        "allocated": torch.cuda.memory_allocated(device),
        "reserved": torch.cuda.memory_reserved(device),
        "total": torch.cuda.get_device_properties(device).total_memory,
    }


def utilization(device: str) -> float | None:
    """Between 0 and 1; None where nobody can tell: torch asks pynvml, which may not be there."""
    if (torch := _torch(device)) is None:
        return None
    try:
        return float(torch.cuda.utilization(device)) / 100
    except Exception:  # pynvml's and amdsmi's errors have no base but this; no batch is lost for it
        return None


def _torch(device: str) -> Any:
    """A model on a GPU has loaded it; lead never does."""
    torch = sys.modules.get("torch")
    ready = torch is not None and device.startswith("cuda") and torch.cuda.is_initialized()
    return torch if ready else None

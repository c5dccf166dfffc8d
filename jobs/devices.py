"""Which devices a machine has, found out without importing torch into this process."""

import subprocess
import sys
from pathlib import Path

from jobs.errors import UsageError

# Device files of NVIDIA, AMD and WSL; where none exists there is no GPU to count.
_GPU_FILES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")


def find(device: str) -> list[str]:
    """`auto`: each GPU, or the CPU where there is none; else the one named.

    Raises UsageError for a device that makes no sense.
    """
    if device == "auto":
        return [f"cuda:{number}" for number in range(_count_gpus())] or ["cpu"]
    kind, colon, number = device.partition(":")
    if device == "cpu" or (kind == "cuda" and colon and number.isdecimal()):
        return [device]
    raise UsageError(f"--device {device!r}: write auto, cpu, or cuda:N as in cuda:0")


def _count_gpus() -> int:
    """As torch sees them, asked in a process of its own."""
    if not any(Path(device).exists() for device in _GPU_FILES):
        return 0
    count = "import torch; print(torch.cuda.device_count())"
    asked = subprocess.run(
        [sys.executable, "-P", "-c", count], capture_output=True, text=True, check=False
    )
    if asked.returncode:
        raise UsageError(f"torch can not count the GPUs: {asked.stderr.strip().splitlines()[-1]}")
    return int(asked.stdout)

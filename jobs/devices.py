"""Which devices a machine has, and how its workers share them; without importing torch here.

A GPU gets one worker. A CPU is shared by several workers of few threads, which do as much as one
of many on a quiet machine, and far more on a busy one: docs/decisions/0008.
"""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs.errors import UsageError

# Device files of NVIDIA, AMD and WSL; where none exists there is no GPU to count.
_GPU_FILES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
_CONTAINER_MEMORY = Path("/sys/fs/cgroup/memory.max")
_WORKER_MEMORY = 4 * 2**30
"""Bytes for one worker on a CPU: bart-large in float32 with a batch in hand takes 3 GiB."""
_MOST_WORKERS = 8
"""On one CPU: each has a copy of the model, and connections, and more were never measured."""
DEFAULT_WORKERS = "[default: one for each GPU, or up to 8 that share the CPU]"
_THREADS = "OMP_NUM_THREADS"
"""Read by torch, when it is imported, and by the libraries under it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one worker works."""

    name: str
    """No other worker of the machine that is started with it has this one."""
    device: str
    threads: int | None
    """On a CPU that it shares with others; None where it has a device to itself."""

    def variables(self, environment: Mapping[str, str]) -> dict[str, str]:
        """What its process is to find in its environment; what stands there already stays."""
        if self.threads is None or environment.get(_THREADS):
            return {}
        return {_THREADS: str(self.threads)}


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


def places(device: str, workers: int | None = None) -> list[Place]:
    """Where `workers` are to work; None for one on each GPU, or, where there is none, as many as
    the CPU has cores and the memory room for. A device that is named has one.

    Raises UsageError for a device that makes no sense.
    """
    found = find(device)
    if found != ["cpu"]:
        return _named([found[n % len(found)] for n in range(workers or len(found))], None)
    cores = usable_cores()
    count = workers or (cpu_workers(cores, _memory()) if device == "auto" else 1)
    return _named(["cpu"] * count, max(1, cores // count) if count > 1 else None)


def cpu_workers(cores: int, memory: int) -> int:
    """How many workers share so many cores and bytes of memory."""
    return max(1, min(cores, memory // _WORKER_MEMORY, _MOST_WORKERS))


def _named(devices: Sequence[str], threads: int | None) -> list[Place]:
    """Named for their devices, numbered where several share one."""
    shared = Counter(devices)
    seen: Counter[str] = Counter()
    found = []
    for device in devices:
        seen[device] += 1
        name = device if shared[device] == 1 else f"{device}-{seen[device]}"
        found.append(Place(name, device, threads))
    return found


def usable_cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> int:
    """Bytes of the machine, or of the container where that has fewer."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        bound = _CONTAINER_MEMORY.read_text().strip()
    except OSError:
        return whole
    return min(whole, int(bound)) if bound.isdecimal() else whole


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

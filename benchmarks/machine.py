"""What a measurement was made on: processor, memory, versions, date, load."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

_PACKAGES = ("torch", "transformers", "tokenizers", "ctranslate2", "celery", "psycopg")
_WORDS = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8")


def facts() -> dict[str, str]:
    """By name, as they are printed."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "commit": _commit(),
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{_memory() / 2**30:.0f} GiB",
        "load at the start": f"{os.getloadavg()[0]:.1f}",
        "python": platform.python_version(),
        **_versions(),
    }


def _versions() -> dict[str, str]:
    found = {each.metadata["Name"]: each.version for each in metadata.distributions()}
    return {name: found[name] for name in _PACKAGES if name in found}


def _processor() -> str:
    """Its name, and the wide words that it knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        return platform.processor() or platform.machine()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    named = {name.strip(): value.strip() for name, value in fields.items()}
    flags = named.get("flags", "").split()
    words = [word for word in _WORDS if word in flags]
    return " ".join([named.get("model name", platform.machine()), *words])


def _memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _commit() -> str:
    asked = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    here = Path(__file__).parent
    said = subprocess.run(asked, cwd=here, capture_output=True, text=True, check=False)
    return said.stdout.strip() or "unknown"

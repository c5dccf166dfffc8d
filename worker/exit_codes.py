"""With what code the pool child ends itself, and what the parent's log makes of a child's end."""

import re

DEADLINE = 75
DRAINED = 76
OUT_OF_MEMORY = 77
DEVICE_LOST = 78

_WHY = {
    DEADLINE: "its batch or its load passed the deadline",
    DRAINED: "it was asked to stop and still busy",
    OUT_OF_MEMORY: "out of memory",
    DEVICE_LOST: "its device is lost",
}
_REASONS = {
    DEADLINE: "deadline",
    DRAINED: "drained",
    OUT_OF_MEMORY: "out_of_memory",
    DEVICE_LOST: "device_lost",
}
EVERY_REASON = (*_REASONS.values(), "killed", "other")


def reason(lost: str) -> str:
    """Of the same, one word of a few."""
    code = _code(lost)
    if code in _REASONS:
        return _REASONS[code]
    return "killed" if "signal" in lost else "other"


def explain(lost: str) -> str:
    """Why a child ended, of how the pool puts it: `exitcode 76`, `signal 9 (SIGKILL)` or else."""
    code = _code(lost)
    if code in _WHY:
        return _WHY[code]
    killed = re.search(r"signal \d+(?: \(\w+\))?", lost)
    return f"killed by {killed[0]}" if killed else lost


def _code(lost: str) -> int | None:
    found = re.search(r"exitcode (\d+)", lost)
    return int(found[1]) if found else None

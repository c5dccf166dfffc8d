"""Ties a process to its parent: when that ends, however it ends, this one gets a signal.

`argv()` wraps a command; run as a script it asks the kernel for the signal and
becomes the command. It does so after the start, not between fork and exec,
because a change of user or of namespace forgets the request. The signal follows
the parent's *thread*: start such commands from the main one. Linux only;
elsewhere a SIGKILLed parent leaves its children to be stopped by hand.
"""

import ctypes
import os
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1


def argv(command: Sequence[str], signal: int, user: int | None = None) -> list[str]:
    """`command`, tied to this process; run as `user`, a uid and gid, where root asks for it."""
    # -I -S: nothing but the standard library, found without looking around.
    tether = [sys.executable, "-I", "-S", __file__]
    words = [str(os.getpid()), str(int(signal)), "-" if user is None else str(user)]
    return [*tether, *words, *command]


def _become(parent: int, signal: int, user: str, command: list[str]) -> None:
    if user != "-":
        os.setgroups([])
        os.setgid(int(user))
        os.setuid(int(user))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit(0)  # it ended before we asked
    os.execvp(command[0], command)  # noqa: S606 - what the parent named, no shell


if __name__ == "__main__":
    _become(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])

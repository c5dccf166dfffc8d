"""File locks of the kernel's, which vanish with the process that holds them."""

import fcntl
import os
from pathlib import Path


class Lock:
    """A lock that is held until it is released or the process ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @property
    def descriptor(self) -> int:
        """For `pass_fds`: a process that is started with it holds on to the lock for as long
        as it or any child of its lives, whoever else lets go. Raises ValueError once released."""
        if self._descriptor is None:
            raise ValueError("the lock is released")
        return self._descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def try_shared(path: Path) -> Lock | None:
    return _try(path, fcntl.LOCK_SH)


def try_exclusive(path: Path) -> Lock | None:
    return _try(path, fcntl.LOCK_EX)


def is_free(path: Path) -> bool:
    """Whether nobody holds it, seen by holding it for a moment."""
    if lock := try_exclusive(path):
        lock.release()
    return lock is not None


def is_shared(path: Path) -> bool:
    """Whether somebody holds it shared."""
    if is_free(path):
        return False
    if lock := try_shared(path):
        lock.release()
    return lock is not None


def _try(path: Path, kind: int) -> Lock | None:
    # Not inherited by what we start (PEP 446), unless it is passed on by name.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return Lock(descriptor)

"""Runs several commands as one: one log, what dies is started again, one Ctrl-C stops all.

Each child has a session of its own, so that a terminal's Ctrl-C reaches this
process alone, and is tethered to it, so that it is asked to stop even if this
process is killed. One thread: the tether follows the thread that starts a child.
"""

import os
import selectors
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from time import monotonic
from types import FrameType
from typing import TextIO

from jobs import tether
from jobs.errors import UsageError
from jobs.logs import Form
from jobs.one_log import OneLog

_SHORTEST_BACKOFF = 0.5
_LONGEST_BACKOFF = 5.0
# Who lived so long had no trouble starting.
_SETTLED = 10.0
# What a child may need on top of its own draining.
_MARGIN = 5.0
_LOOK = 0.2
_READ = 64 * 1024
_USAGE = 2
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_STOPPING = "stopping; workers finish the batch in hand (Ctrl-C again kills)"

Tend = Callable[[], str | None]
"""Called in each turn: mends what is no child of ours, and says in a line that it did."""


@dataclass(frozen=True, slots=True)
class Child:
    """A command to keep running, and the name it has in the log."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]


def run(
    children: Sequence[Child],
    *,
    drain: float,
    out: TextIO,
    form: Form,
    tend: Tend = lambda: None,
) -> None:
    """Run until a signal asks to stop: once and children have `drain` seconds, twice and they
    are killed. Children's lines, which are of this form, go to `out`. Raises UsageError where
    a child says (exit code 2) that it cannot be run so."""
    log = OneLog([child.name for child in children], out, form)
    _Supervisor(children, drain + _MARGIN, log, tend).run()


class _Running:
    """A child, its process, and when it may be started again."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.process: subprocess.Popen[bytes] | None = None
        self.output = -1
        self.started = 0.0
        self.not_before = 0.0
        self.backoff = _SHORTEST_BACKOFF
        self.unfinished = b""
        self.last_line = ""

    def start(self) -> None:
        self.started = monotonic()
        self.unfinished = b""
        self.output, writing = os.pipe()
        os.set_blocking(self.output, False)
        self.process = subprocess.Popen(
            tether.argv(self.child.argv, signal.SIGTERM),
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=writing,
            env=self.child.env,
            start_new_session=True,
        )
        os.close(writing)

    def signal(self, number: int) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):  # it has just ended
                os.killpg(self.process.pid, number)

    def ask_to_stop(self) -> None:
        """The child alone: what it started is its own to stop."""
        if self.process is not None:
            self.process.terminate()

    def wait_before_restart(self) -> None:
        if monotonic() - self.started >= _SETTLED:
            self.backoff = _SHORTEST_BACKOFF
        self.not_before = monotonic() + self.backoff
        self.backoff = min(2 * self.backoff, _LONGEST_BACKOFF)


class _Supervisor:
    def __init__(self, children: Sequence[Child], patience: float, log: OneLog, tend: Tend) -> None:
        self._running = [_Running(child) for child in children]
        self._patience = patience
        self._tend = tend
        self._log = log
        self._selector = selectors.DefaultSelector()
        self._asked = 0

    def run(self) -> None:
        with self._signals():
            try:
                while not self._asked:
                    self._start_due()
                    self._read(_LOOK)
                    self._reap()
                    if line := self._tend():
                        self._log.say("warning", line)
            finally:
                self._stop()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._ask) for number in _STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._asked += 1

    def _start_due(self) -> None:
        for running in self._running:
            if running.process is None and monotonic() >= running.not_before:
                running.start()
                self._selector.register(running.output, selectors.EVENT_READ, running)

    def _read(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            if not self._copy(key.data):
                self._selector.unregister(key.fileobj)

    def _copy(self, running: _Running) -> bool:
        """Print the whole lines that are there; False at the end of the child's output."""
        try:
            read = os.read(running.output, _READ)
        except BlockingIOError:
            return False
        *lines, running.unfinished = (running.unfinished + read).split(b"\n")
        self._say(running, lines)
        return bool(read)

    def _say(self, running: _Running, lines: Sequence[bytes]) -> None:
        for line in lines:
            running.last_line = line.decode(errors="replace").rstrip()
            self._log.copy(running.child.name, running.last_line)

    def _reap(self) -> None:
        for running in self._running:
            if running.process is None or running.process.poll() is None:
                continue
            code = self._take_leave(running, running.process)
            if code == _USAGE:
                raise UsageError(f"{running.child.name} can not run: {running.last_line}")
            running.wait_before_restart()
            seconds = running.not_before - monotonic()
            self._log.say_of(running.child.name, f"ended with {code}; again in {seconds:.1f} s")

    def _take_leave(self, running: _Running, process: subprocess.Popen[bytes]) -> int:
        """Print a child's last words and wait for its end; returns its exit code."""
        process.wait()
        running.signal(signal.SIGKILL)  # whatever it left behind in its session
        while self._copy(running):
            pass
        if running.unfinished:
            self._say(running, [running.unfinished])
        with suppress(KeyError):  # _read saw the end of its output
            self._selector.unregister(running.output)
        os.close(running.output)
        running.process = None
        return process.returncode

    def _stop(self) -> None:
        if self._asked:
            self._log.say("info", _STOPPING)
        for running in self._running:
            running.ask_to_stop()
        ends = monotonic() + self._patience
        asked = self._asked
        while self._alive() and monotonic() < ends and self._asked == asked:
            self._read(_LOOK)
        for running in self._alive():
            running.signal(signal.SIGKILL)
        for running in self._running:
            if running.process is not None:
                self._take_leave(running, running.process)
        self._selector.close()

    def _alive(self) -> list[_Running]:
        return [r for r in self._running if r.process is not None and r.process.poll() is None]

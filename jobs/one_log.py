"""One log of several processes: each line says whose it is.

On a terminal behind a name in colour; in JSON by the key `process`, which also makes an
object of a line that is none (a crash of the interpreter, a usage error), so that who reads
the log can rely on its form.
"""

import errno
import json
import os
import sys
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from time import time
from typing import Any, TextIO

from jobs import logs, settings
from jobs.logs import Form

_NOBODY_READS = (errno.EPIPE, errno.EIO)
_COLOURS = (36, 33, 32, 35, 34)


class OneLog:
    """Children's lines and our own about them go to `out`; the others of our own, on a terminal,
    to standard error."""

    def __init__(self, names: Sequence[str], out: TextIO, form: Form) -> None:
        self._out = out
        self._json = form == "json"
        width = max(map(len, names))
        colours = cycle(_COLOURS if out.isatty() and settings.colour_wanted() else [None])
        self._prefixes = {
            name: _prefix(name.ljust(width), colour)
            for name, colour in zip(names, colours, strict=False)
        }

    def copy(self, name: str, line: str) -> None:
        """A line that a child wrote."""
        if self._json:
            _print(json.dumps({**_as_event(line), "process": name}), self._out)
        else:
            _print(f"{self._prefixes[name]} {line}", self._out)

    def say_of(self, name: str, event: str) -> None:
        """What happened to a child."""
        if self._json:
            _print(json.dumps({**_event("warning", event), "process": name}), self._out)
        else:
            _print(f"{self._prefixes[name]} {event}", self._out)

    def say(self, level: str, event: str) -> None:
        """What happens to all."""
        if self._json:
            _print(json.dumps(_event(level, event)), self._out)
        else:
            _print(event, sys.stderr)


def _as_event(line: str) -> dict[str, Any]:
    try:
        read = json.loads(line)
    except ValueError:
        read = None
    # What is written past a log is nothing that should be.
    return read if isinstance(read, dict) else _event("warning", logs.without_passwords(line))


def _event(level: str, event: str) -> dict[str, Any]:
    return {"time": logs.timestamp(time()), "level": level, "event": event}


def _print(line: str, out: TextIO) -> None:
    """Print a line; where nobody reads any more (`tee` after a Ctrl-C, a closed terminal), fall
    silent for good, Python's own flush at its end included: children are still to be stopped.
    A full disk may have room again: there the line alone is lost, or comes late."""
    try:
        print(line, file=out, flush=True)
    except OSError as error:
        if error.errno in _NOBODY_READS:
            with Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), out.fileno())


def _prefix(name: str, colour: int | None) -> str:
    return f"{name} |" if colour is None else f"\x1b[{colour}m{name} |\x1b[0m"

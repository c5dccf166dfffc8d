"""Many commands in one process: one start for all, where each alone would import for a second."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

_DOOR = """
import contextlib, io, json, os, sys
sys.modules.update(dict.fromkeys(json.loads(sys.argv[1])))
import gistmill

for line in sys.stdin:
    program, words, environment = json.loads(line)
    sys.argv, code = [program or "gistmill", *words], None
    os.environ.update(environment)
    said, told = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(told):
        try:
            exec(program, {}) if program else gistmill.main()
        except SystemExit as end:
            code = end.code
    for name in environment:
        del os.environ[name]
    print(json.dumps([code, said.getvalue(), told.getvalue()]), flush=True)
"""


@dataclass(frozen=True, slots=True)
class Ended:
    code: int | None
    """None of a program that ended by itself."""
    stdout: str
    stderr: str


class Door:
    """One that stays open."""

    def __init__(self, process: "subprocess.Popen[str]", told: IO[str]) -> None:
        self._process = process
        self._told = told

    def say(self, *words: str, **more: str) -> Ended:
        """How `gistmill WORDS` ends; `more` are variables for it alone."""
        return self._answer("", words, more)

    def all(self, commands: Sequence[Sequence[str]]) -> list[Ended]:
        """How each of them ends, one after the other."""
        return [self.say(*words) for words in commands]

    def run(self, program: str, *words: str, **more: str) -> Ended:
        """How a Python program ends, with `words` as its arguments."""
        return self._answer(program, words, more)

    def _answer(self, program: str, words: Sequence[str], more: Mapping[str, str]) -> Ended:
        asking, answering = self._process.stdin, self._process.stdout
        assert asking
        assert answering
        asking.write(json.dumps([program, words, more]) + "\n")
        asking.flush()
        line = answering.readline()
        assert line, self.told()
        return Ended(*json.loads(line))

    def told(self) -> str:
        """What was printed past the commands."""
        self._told.seek(0)
        return self._told.read()


@contextmanager
def door(
    environment: Mapping[str, str], missing: Sequence[str] = (), cwd: str = "."
) -> Iterator[Door]:
    """In it the modules `missing` can not be imported."""
    with tempfile.TemporaryFile("w+") as told:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _DOOR, json.dumps(missing)],
            cwd=cwd,
            env={**os.environ, "COLUMNS": "80", **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=told,
            text=True,
        )
        with process:
            opened = Door(process, told)
            yield opened
        assert opened.told() == "", "printed past the commands"


def say(
    commands: Sequence[Sequence[str]],
    environment: Mapping[str, str],
    missing: Sequence[str] = (),
    cwd: str = ".",
) -> list[Ended]:
    """How `gistmill WORDS` ends for each of the commands, one after the other in one process."""
    with door(environment, missing, cwd) as opened:
        return opened.all(commands)

"""Many commands in one process: one start for all, where each alone would import for a second."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.mill import PATIENCE

_DOOR = """
import contextlib, io, json, sys
sys.modules.update(dict.fromkeys(json.loads(sys.argv[1])))
import gistmill

for words in json.load(sys.stdin):
    sys.argv, code = ["gistmill", *words], None
    said, told = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(told):
        try:
            gistmill.main()
        except SystemExit as end:
            code = end.code
    print(json.dumps([code, said.getvalue(), told.getvalue()]))
"""


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    stdout: str
    stderr: str


def say(
    commands: Sequence[Sequence[str]],
    environment: Mapping[str, str],
    missing: Sequence[str] = (),
    cwd: str = ".",
) -> list[Ended]:
    """How `gistmill WORDS` ends for each of the commands, one after the other in one process,
    in which the modules `missing` can not be imported."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", _DOOR, json.dumps(missing)],
        input=json.dumps(commands),
        cwd=cwd,
        env={**os.environ, "COLUMNS": "80", **environment},
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "printed past the command"
    return [Ended(*json.loads(line)) for line in done.stdout.splitlines()]

"""Sources on the stub hub, asked for in processes of their own: the hub's clients read their
environment when they are imported.

Run as a module it reads cases from standard input, several as JSON in a line, and writes what
each gave in a line.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests import hub

Case = dict[str, Any]
"""`location`, and any of `format`, `config`, `split`, `revision`, `text`, `id`, `reference`,
`allowed`; or `source` and `shards`, to be read as a worker reads them. `largest` stands for what
is downloaded at most, `token` is who asks."""


class Asker:
    """A process that goes on, with a cache of the hub's under a home of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, *cases: Case) -> list[dict[str, Any]]:
        """What each case gave: `error`, or `source`, `shards` (as [start, stop, position]) and
        `texts`."""
        asking, answering = self._process.stdin, self._process.stdout
        assert asking
        assert answering
        asking.write(json.dumps(cases) + "\n")
        asking.flush()
        found: list[dict[str, Any]] = json.loads(answering.readline())
        return found


@contextmanager
def asker(url: str, home: Path, **environment: str) -> Iterator[Asker]:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "tests.hub_client"],
        env={**os.environ, "PYTHONPATH": ".", **hub.environment(url, home), **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield Asker(process)


def ask(url: str, home: Path, *cases: Case, **environment: str) -> list[dict[str, Any]]:
    """Of one that then ends."""
    with asker(url, home, **environment) as one:
        return one.ask(*cases)


def _answer(case: Case) -> dict[str, Any]:
    from jobs.errors import GistmillError
    from jobs.sources.hub import reading

    token = {"HF_TOKEN": case["token"]} if "token" in case else {}
    with (
        patch.object(reading, "LARGEST", case.get("largest", 1 << 30)),
        patch.dict(os.environ, token),
    ):
        try:
            return _read(case) if "shards" in case else _submit(case)
        except GistmillError as error:
            code = [error.code] if hasattr(error, "code") else []
            return {"error": [type(error).__name__, *code, str(error)]}


def _submit(case: Case) -> dict[str, Any]:
    from jobs import columns, sources
    from jobs.allowed_sources import Allowed
    from jobs.sources.asked import Asked
    from tests.reading import planned

    named = {name: case.get(name) for name in ("format", "config", "split", "revision")}
    wanted = columns.Asked(case.get("text"), case.get("id"), case.get("reference"))
    allowed = Allowed(tuple(case["allowed"]) if "allowed" in case else None)
    found = sources.describe(case["location"], Asked(wanted, **named), allowed)
    shards = [[s.start, s.stop, s.position] for s in planned(found, 3, allowed)]
    return {"source": found.source, "shards": shards}


def _read(case: Case) -> dict[str, Any]:
    from jobs.job import NewShard
    from tests.reading import read

    documents = read(case["source"], [NewShard(*shard) for shard in case["shards"]])
    return {"texts": [document.text for document in documents]}


if __name__ == "__main__":
    # The hub's clients bear for long with one that does not answer.
    with patch("time.sleep"):
        for line in sys.stdin:
            print(json.dumps([_answer(case) for case in json.loads(line)]), flush=True)

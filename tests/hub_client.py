"""Sources on the stub hub, asked for in one process of its own: the hub's clients read their
environment when they are imported.

Run as a module it reads cases as JSON from standard input, and writes what each gave.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests import hub

Case = dict[str, Any]
"""`location`, and any of `format`, `config`, `split`, `revision`, `text`, `id`, `reference`,
`allowed`; or `source` and `shards`, to be read as a worker reads them. `largest` stands for what
is downloaded at most."""


def ask(url: str, home: Path, *cases: Case, **environment: str) -> list[dict[str, Any]]:
    """What each case gave: `error`, or `source`, `shards` (as [start, stop, position]) and
    `texts`."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "tests.hub_client"],
        input=json.dumps(cases),
        env={**os.environ, "PYTHONPATH": ".", **hub.environment(url, home), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def _answer(case: Case) -> dict[str, Any]:
    from jobs.errors import GistmillError
    from jobs.sources.hub import reading

    reading.LARGEST = case.get("largest", 1 << 30)
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
        json.dump([_answer(case) for case in json.load(sys.stdin)], sys.stdout)

"""The process of one side: keeps its model loaded, and runs when it is told to.

    python -m benchmarks.engines.child LOAD DOCUMENTS

LOAD is a `sides.Load` as JSON, DOCUMENTS a JSON file of token ids. Each line on stdin is a
request as JSON, each line on stdout its answer. Whatever a library prints goes to stderr.
"""

import json
import os
import sys
from pathlib import Path
from time import perf_counter
from typing import Any, TextIO

from benchmarks.engines.sides import Documents, Load, Side
from jobs.errors import JobError


def main(load: Load, documents: list[list[int]], answers: TextIO) -> None:
    try:
        side = _opened(load)
    except (JobError, ImportError) as error:
        _say(answers, refused=str(error))
        return
    _say(answers, ready=True)
    for line in sys.stdin:
        _answer(side, documents, json.loads(line), answers)


def _opened(load: Load) -> Side:
    """What one side needs is not imported for the other: it would count as memory of it."""
    if load.side == "peer":
        from benchmarks.engines.peer import Peer

        return Peer(load)
    if load.side == "continuous":
        from benchmarks.engines.continuous import Continuous

        return Continuous(load)
    from benchmarks.engines.own import Own

    return Own(load)


def _answer(side: Side, documents: Documents, asked: dict[str, Any], answers: TextIO) -> None:
    chosen = [documents[position] for position in asked["documents"]]
    if asked["do"] == "tune":
        _say(answers, settings=side.tune(chosen))
        return
    _forget_peak()
    began = perf_counter()
    ids = side.run(chosen)
    seconds = perf_counter() - began
    _say(answers, seconds=seconds, ids=ids, peak_mib=_peak_mib())


def _forget_peak() -> None:
    """Loading takes more memory than running does: that is not to be the peak."""
    Path("/proc/self/clear_refs").write_text("5")


def _peak_mib() -> float:
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def _say(answers: TextIO, **answer: Any) -> None:
    print(json.dumps(answer), file=answers, flush=True)


def _answers_alone() -> TextIO:
    """stdout for our answers only."""
    kept = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return kept


if __name__ == "__main__":
    main(
        Load(**json.loads(sys.argv[1])),
        json.loads(Path(sys.argv[2]).read_text()),
        _answers_alone(),
    )

"""Runs the sides of one case against one another, each in processes of its own.

A contestant is a side at a dtype on so many processes of so many threads. All keep their models
loaded while one of them works; rounds go through all of them, forwards and backwards in turn, so
that a slow minute of the machine meets every side.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, cast, get_args

from benchmarks.engines.cases import Case
from benchmarks.engines.sides import SIDES, Dtype, Load

_ENOUGH = 60.0
"""A side whose first round took more seconds than this has no second one."""


class Refused(Exception):
    """This side can not run this model here."""


@dataclass(frozen=True)
class Contestant:
    side: str
    dtype: Dtype
    processes: int
    threads: int

    def __str__(self) -> str:
        return f"{self.side}:{self.dtype}:{self.processes}x{self.threads}"

    @classmethod
    def read(cls, text: str, cores: int) -> "Contestant":
        """`side:dtype[:PROCESSESxTHREADS]`; without a split one process has all cores."""
        side, dtype, *split = text.split(":")
        processes, threads = split[0].split("x") if split else ("1", str(cores))
        if side not in SIDES or dtype not in get_args(Dtype):
            sys.exit(f"benchmarks: {text!r}: write it as in native:int8 or sorted:float32:2x1")
        return cls(side, cast(Dtype, dtype), int(processes), int(threads))


@dataclass
class Measured:
    contestant: Contestant
    settings: str
    seconds: list[float] = field(default_factory=list)
    peak_mib: float = 0.0
    """Of all its processes together while they ran."""
    ids: list[list[int]] = field(default_factory=list)
    """Of the first round."""


class Team:
    """The processes of one contestant."""

    def __init__(self, contestant: Contestant, case: Case, home: Path, file: Path) -> None:
        self.contestant = contestant
        self._load = Load(
            contestant.side,
            contestant.dtype,
            case.model,
            str(home),
            contestant.threads,
            case.generation,
        )
        self._children = [_start(self._load, file) for _ in range(contestant.processes)]
        self._shares = _dealt(case.documents, contestant.processes)

    def open(self) -> None:
        """Wait until the model is loaded. Raises Refused where that can not be."""
        for answer in self._answers():
            if refused := answer.get("refused"):
                raise Refused(refused)

    def tune(self) -> str:
        """On the documents that it is measured with: fewer would favour smaller batches."""
        for child, share in zip(self._children, self._shares, strict=True):
            _ask(child, do="tune", documents=share)
        return str(self._answers()[0]["settings"])

    def warm_up(self) -> None:
        for child, share in zip(self._children, self._shares, strict=True):
            _ask(child, do="run", documents=share[-2:])
        self._answers()

    def run(self, measured: Measured) -> None:
        began = perf_counter()
        for child, share in zip(self._children, self._shares, strict=True):
            _ask(child, do="run", documents=share)
        answers = self._answers()
        measured.seconds.append(perf_counter() - began)
        print(f"{self.contestant}: {measured.seconds[-1]:.1f} s", file=sys.stderr)
        measured.peak_mib = max(measured.peak_mib, sum(each["peak_mib"] for each in answers))
        if not measured.ids:
            measured.ids = _gathered(self._shares, [each["ids"] for each in answers])

    def end(self) -> None:
        for child in self._children:
            assert child.stdin
            child.stdin.close()
            child.wait()

    def _answers(self) -> list[dict[str, Any]]:
        return [_answer(child) for child in self._children]


def compete(
    case: Case, contestants: Sequence[Contestant], rounds: int, home: Path
) -> tuple[list[Measured], list[str]]:
    """What was measured, in the order of `contestants`, and a line for each that could not."""
    with _teams(case, contestants, home) as (teams, refused):
        found = []
        for team in teams:
            team.warm_up()
            found.append(Measured(team.contestant, team.tune()))
        pairs = list(zip(teams, found, strict=True))
        for number in range(rounds):
            for team, measured in pairs if number % 2 == 0 else reversed(pairs):
                if not measured.seconds or measured.seconds[0] < _ENOUGH:
                    team.run(measured)
        return found, refused


@contextmanager
def _teams(
    case: Case, contestants: Sequence[Contestant], home: Path
) -> Iterator[tuple[list[Team], list[str]]]:
    teams: list[Team] = []
    ready: list[Team] = []
    refused: list[str] = []
    with TemporaryDirectory() as folder:
        file = Path(folder) / "documents.json"
        file.write_text(json.dumps(case.documents))
        try:
            teams += [Team(contestant, case, home, file) for contestant in contestants]
            for team in teams:
                try:
                    team.open()
                    ready.append(team)
                except Refused as error:
                    refused.append(f"{team.contestant}: {error}")
            yield ready, refused
        finally:
            for team in teams:
                team.end()


def _start(load: Load, file: Path) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(load.threads),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    argv = [sys.executable, "-m", "benchmarks.engines.child", json.dumps(asdict(load)), str(file)]
    return subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )


def _ask(child: subprocess.Popen[str], **asked: Any) -> None:
    assert child.stdin
    print(json.dumps(asked), file=child.stdin, flush=True)


def _answer(child: subprocess.Popen[str]) -> dict[str, Any]:
    assert child.stdout
    line = child.stdout.readline()
    if not line:
        sys.exit(f"benchmarks: the process of a side ended with {child.wait()}; see its errors")
    answer: dict[str, Any] = json.loads(line)
    return answer


def _dealt(documents: Sequence[list[int]], hands: int) -> list[list[int]]:
    """Positions of the documents for each process, in their order, the lengths dealt evenly."""
    order = sorted(range(len(documents)), key=lambda position: -len(documents[position]))
    turns = [*range(hands), *reversed(range(hands))]
    shares: list[list[int]] = [[] for _ in range(hands)]
    for number, position in enumerate(order):
        shares[turns[number % len(turns)]].append(position)
    return [sorted(share) for share in shares]


def _gathered(
    shares: Sequence[Sequence[int]], found: Sequence[Sequence[list[int]]]
) -> list[list[int]]:
    by_position = {
        position: ids
        for share, lists in zip(shares, found, strict=True)
        for position, ids in zip(share, lists, strict=True)
    }
    return [by_position[position] for position in sorted(by_position)]

"""How long it takes until a large dataset is a job that runs, and what memory that needs.

    python -m benchmarks planning [--rows N] [--gigabytes N] [--turns N] [--folder F] [--quick]

Writes a dataset of so many short rows as ten Parquet files, and JSON lines of so many
gigabytes, and submits them with `gistmill submit` to a mill of its own, with one worker: the
time until the command ends, until the first summary is stored, and the command's largest
resident set, beside those of a dataset of 1,000 rows. Then the JSON lines are read with nothing
done and cut into shards by turns, from the disk (the system is asked to forget the file before)
and from memory. The files are removed at the end.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, sleep

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.own_mill import OwnMill, own_mill
from benchmarks.report import Cell, Report
from jobs import settings, sources
from jobs.allowed_sources import Allowed
from jobs.job import shard_sizes
from jobs.sources.asked import Asked

_FILES = 10
_GROUP = 100_000
_FEW = 1000
_QUICK = 200_000
_MIB = 1024 * 1024
_WORDS = "the mill turns piles of text into summaries while people sleep and the wind blows "


@dataclass(frozen=True)
class Start:
    """Seconds, and MiB, of one submission."""

    of: str
    documents: int
    accepted: float
    first_summary: float
    memory: float


@dataclass(frozen=True)
class Pass:
    """One pass over the JSON lines, in MB a second."""

    what: str
    file_is: str
    speed: float


def write_parquet(folder: Path, rows: int, files: int) -> str:
    """Returns a pattern for what is in the folder."""
    folder.mkdir()
    for number in range(files):
        first, last = rows * number // files, rows * (number + 1) // files
        texts = [f"Row {n} of many. {_WORDS[n % 40 :]}{n}." for n in range(first, last)]
        table = pa.table({"id": pa.array(range(first, last)), "text": texts})
        pq.write_table(table, folder / f"{number:03}.parquet", row_group_size=_GROUP)
    return f"{folder}/*.parquet"


def write_lines(path: Path, size: int) -> str:
    """Lines of about a kB, and so many bytes."""
    block = b"".join(b'{"id": %d, "text": "%s"}\n' % (n, _WORDS.encode() * 12) for n in range(4000))
    with path.open("wb") as out:
        while out.tell() < size:
            out.write(block)
        os.fsync(out.fileno())
    return str(path)


def start(mill: OwnMill, what: str, location: str) -> Start:
    words = ["submit", location, "--model", "lead-1", "--text-column", "text", "-q"]
    began = perf_counter()
    command = subprocess.Popen(
        [sys.executable, "-P", "-m", "gistmill", *words],
        stdout=subprocess.PIPE,
        env=settings.child_environment(mill.settings),
        cwd=os.sep,
        text=True,
    )
    memory = 0.0
    while command.poll() is None:
        memory = max(memory, _largest(command.pid))
        sleep(0.01)
    accepted = perf_counter() - began
    assert command.returncode == 0, command.returncode
    assert command.stdout
    job = mill.client.job(command.stdout.read().strip())
    while not (counts := job.status().counts).completed:
        sleep(0.05)
    first = perf_counter() - began
    if not job.status().over:
        job.cancel()
    while not job.status().over:
        sleep(0.05)
    assert counts.total
    return Start(what, counts.total, accepted, first, memory)


def _largest(pid: int) -> float:
    """Its largest resident set so far, in MiB; `wait4` would count what it was forked of."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # it has just ended
        return 0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0)


def passes(location: str, turns: int) -> list[Pass]:
    """By turns, so that all meet the same moments of the machine."""
    path = Path(location)
    size = path.stat().st_size / 1e6
    kinds: dict[str, Callable[[Path], object]] = {"read": _read, "cut": _cut}
    found = []
    for _ in range(turns):
        for file_is in ("on the disk", "in memory"):
            for what, act in kinds.items():
                if file_is == "on the disk":
                    _forget(path)
                began = perf_counter()
                act(path)
                found.append(Pass(what, file_is, size / (perf_counter() - began)))
    return found


def _forget(path: Path) -> None:
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _read(path: Path) -> None:
    block = bytearray(_MIB)
    with path.open("rb", 0) as file:
        while file.readinto(block):
            pass


def _cut(path: Path) -> None:
    anywhere = Allowed(None)
    found = sources.describe(str(path), Asked(), anywhere)
    assert sum(1 for _ in sources.plan(found, shard_sizes(None), anywhere))


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks planning", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--gigabytes", type=float, default=5)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument(
        "--folder", type=Path, help="On the disk to measure. [default: a temporary]"
    )
    parser.add_argument("--quick", action="store_true", help=f"{_QUICK:,} rows, 0.2 GB, one turn")
    given = parser.parse_args(arguments)
    if given.quick:
        given.rows, given.gigabytes, given.turns = min(given.rows, _QUICK), 0.2, 1
    report = Report("planning", "Planning a large dataset", arguments)
    with tempfile.TemporaryDirectory(prefix="gm", dir=given.folder) as folder:
        Path(folder).chmod(0o755)
        few = write_parquet(Path(folder, "few"), _FEW, 1)
        many = write_parquet(Path(folder, "many"), given.rows, _FILES)
        lines = write_lines(Path(folder, "lines.jsonl"), round(given.gigabytes * 1e9))
        with own_mill() as mill:
            mill.dispatcher()
            mill.worker()
            asked = (("Parquet, few rows", few), ("Parquet", many), ("JSON lines", lines))
            starts = [start(mill, *each) for each in (asked[0], *asked)]
        _show_starts(report, starts[1:])
        _show_passes(report, passes(lines, given.turns))
    report.fact("load at the end", "{:.1f}, {:.1f}, {:.1f}".format(*os.getloadavg()))
    report.write()


def _show_starts(report: Report, starts: Sequence[Start]) -> None:
    report.table(
        "`gistmill submit` to a mill with one worker that waits, seconds",
        ["source", "documents", "accepted", "first summaries stored", "largest memory, MiB"],
        [[s.of, s.documents, s.accepted, s.first_summary, s.memory] for s in starts],
    )
    report.data("starts", [asdict(each) for each in starts])


def _show_passes(report: Report, found: Sequence[Pass]) -> None:
    kinds = dict.fromkeys((each.file_is, each.what) for each in found)
    rows: list[list[Cell]] = []
    for file_is, what in kinds:
        speeds = [each.speed for each in found if (each.file_is, each.what) == (file_is, what)]
        rows.append([what, file_is, median(speeds), min(speeds), max(speeds)])
    report.table(
        "JSON lines read with nothing done, and cut into shards, MB/s",
        ["pass", "the file is", "median", "slowest", "fastest"],
        rows,
    )
    report.data("passes", [asdict(each) for each in found])


if __name__ == "__main__":
    main(sys.argv[1:])

"""How long it takes to look at a large job: its status, and the first page of its results.

    python -m benchmarks status [--rows N] [--looks N] [--commands N] [--quick]

Fills a mill of its own with one job of so many summary rows, by SQL, all but its last
eight shards done, and looks at it: from Python, on one client, and as a command. Then
the dispatcher closes the job, and it is looked at again.
"""

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from time import perf_counter

import psycopg
from sqlalchemy import text

from benchmarks.own_mill import OwnMill, own_mill
from benchmarks.report import Report
from jobs import settings
from jobs.job import SHARD_SIZE, ModelKey
from jobs.parameters import Effective
from jobs.store import validations
from producer import dispatch
from producer.job import Job

_KEY = ModelKey("lead-3", "1", "lead", None)
_PAGE = 1000
_QUICK = 200_000
_WAITING = 8
"""Shards that are not done."""


@dataclass(frozen=True)
class Look:
    """Seconds that one kind of look took, in the order they were taken."""

    of: str
    status: str
    seconds: list[float]

    @property
    def median(self) -> float:
        return 1000 * statistics.median(self.seconds)

    @property
    def p99(self) -> float:
        return 1000 * statistics.quantiles(self.seconds, n=100, method="inclusive")[98]


def fill(mill: OwnMill, rows: int) -> Job:
    """A job in progress with `rows` summaries, and a few shards that nobody has done."""
    job = mill.client.submit(["A text."], model=_KEY.model)
    with mill.client.database.transaction() as tx:
        validation = validations.lease(tx, job.id, "benchmark", 60)
        assert validation
        validations.start(tx, validation, _KEY, Effective())
        # Ten million rows: the check that each has its job costs most of the time.
        tx.execute(text("SET LOCAL session_replication_role = replica"))
        values = {"job": job.id, "rows": rows, "size": SHARD_SIZE, "waiting": _WAITING}
        for statement in _FILL:
            tx.execute(text(statement), values)
    _settle(mill)
    return job


_FILL = (
    "DELETE FROM documents WHERE job_id = :job",
    "DELETE FROM shards WHERE job_id = :job",
    "UPDATE jobs SET total = :rows + :waiting * :size WHERE id = :job",
    """
    INSERT INTO shards (job_id, number, start, stop, state, completed, input_tokens,
                        output_tokens, busy_seconds, started_at, finished_at, attempt)
    SELECT :job, n, n * :size, least((n + 1) * :size, :rows), 'done',
           least(:size, :rows - n * :size), 60 * :size, 30 * :size, 0.05 + 0.01 * random(),
           now(), now(), 1
      FROM generate_series(0, (:rows - 1) / :size) n
    """,
    """
    INSERT INTO shards (job_id, number, start, stop)
    SELECT :job, (:rows - 1) / :size + 1 + n, :rows + n * :size, :rows + (n + 1) * :size
      FROM generate_series(0, :waiting - 1) n
    """,
    """
    INSERT INTO summaries (job_id, index, summary, input_tokens, output_tokens, truncated,
                           finish_reason)
    SELECT :job, n, 'Summary ' || n || ': ' || repeat(md5(n::text) || ' ', 5), 60, 30, false, 'stop'
      FROM generate_series(0, :rows - 1) n
    """,
)


def _settle(mill: OwnMill) -> None:
    """What PostgreSQL's autovacuum does within a minute of such a change."""
    url = mill.client.database.url.set(drivername="postgresql").render_as_string(False)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def close(mill: OwnMill, job: Job) -> None:
    """The last shards are done, and a turn of the dispatcher closes the job."""
    with mill.client.database.transaction() as tx:
        done = "UPDATE shards SET state = 'done' WHERE job_id = :job AND state <> 'done'"
        tx.execute(text(done), {"job": job.id})
    dispatch.fill(mill.client.database, mill.client.broker, mill.settings.timings)
    assert job.status().over


def look(mill: OwnMill, job: Job, looks: int, commands: int) -> list[Look]:
    """Each kind by turns, so that all meet the same moments of the machine."""
    kinds = {
        "status, Python": (looks, job.status),
        "first page, Python": (looks, lambda: _first_page(job)),
        "gistmill status": (commands, lambda: _command(mill, "status", job.id, "--json")),
        "gistmill --version": (commands, lambda: _command(mill, "--version")),
    }
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    for turn in range(max(looks, commands)):
        for kind, (count, act) in kinds.items():
            if turn < count:
                seconds[kind].append(_timed(act))
    status = job.status().status
    return [Look(kind, status, taken) for kind, taken in seconds.items()]


def _first_page(job: Job) -> None:
    page = list(islice(job.results(), _PAGE))
    assert page[-1]["index"] == _PAGE - 1


def _command(mill: OwnMill, *words: str) -> None:
    environment = settings.child_environment(mill.settings, OMP_NUM_THREADS="1")
    subprocess.run(
        [sys.executable, "-P", "-m", "gistmill", *words],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=os.sep,
        check=True,
    )


def _timed(act: Callable[[], object]) -> float:
    began = perf_counter()
    act()
    return perf_counter() - began


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks status", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--looks", type=int, default=100)
    parser.add_argument("--commands", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help=f"{_QUICK:,} rows, few looks")
    given = parser.parse_args(arguments)
    if given.quick:
        given.rows, given.looks, given.commands = min(given.rows, _QUICK), 50, 3
    report = Report("status", "Looking at a large job", arguments)
    with own_mill() as mill:
        report.fact("PostgreSQL", mill.client.database.server_version())
        job = fill(mill, given.rows)
        found = look(mill, job, given.looks, given.commands)
        close(mill, job)
        found += look(mill, job, given.looks, given.commands)
    report.table(
        f"One job of {given.rows:,} rows in shards of {SHARD_SIZE}, milliseconds",
        ["look", "the job is", "looks", "median", "p99"],
        [[each.of, each.status, len(each.seconds), each.median, each.p99] for each in found],
    )
    report.data("looks", [asdict(each) for each in found])
    report.write()


if __name__ == "__main__":
    main(sys.argv[1:])

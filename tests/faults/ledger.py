"""What was submitted and what must become of it, and the comparison with SQL.

It knows nothing of `jobs.store`: it was there when documents were made up, and
reads the tables with queries of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.faults import audit
from tests.faults.engine import Breakage, first_sentence, text

# Why a document fails that breaks what generates it.
REASONS: dict[Breakage, str] = {
    "segfault": "worker_died",
    "hang": "worker_died",
    "device": "worker_died",
    "memory": "out_of_memory",
    "refuse": "generation_failed",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A document, and what must become of it."""

    key: str
    breakage: Breakage | None

    @property
    def text(self) -> str:
        return text(self.key, self.breakage)

    @property
    def summary(self) -> str | None:
        return None if self.breakage else first_sentence(self.key)

    @property
    def code(self) -> str | None:
        return REASONS[self.breakage] if self.breakage else None


@dataclass
class Findings:
    """What is not as it must be; nothing, if gistmill keeps its word."""

    documents: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class Ledger:
    def __init__(self) -> None:
        self._jobs: dict[str, list[Entry]] = {}
        self._reopened: list[str] = []
        self._cancelled: set[str] = set()
        self._written = 0

    def write(
        self, count: int, bad: Mapping[int, Breakage] | None = None, texts: int | None = None
    ) -> list[Entry]:
        """Make up `count` documents; those at the places in `bad` break what generates them. Of
        several that have the same text where there are no more `texts`, one is generated."""
        bad = bad or {}
        self._written += 1
        places = [place % (texts or count) for place in range(count)]
        return [Entry(f"{self._written}-{place}", bad.get(place)) for place in places]

    def submitted(self, job_id: str, entries: list[Entry]) -> None:
        self._jobs[job_id] = entries

    def reopened(self, job_id: str) -> None:
        """A retry took it up again: it ends once more."""
        self._reopened.append(job_id)

    def cancelled(self, job_id: str) -> None:
        """It was cancelled too late: every document is done, and a retry finds nothing to do."""
        self._cancelled.add(job_id)

    @property
    def job_ids(self) -> list[str]:
        return list(self._jobs)

    @property
    def summarized(self) -> list[str]:
        """The documents that have a summary, by their first words."""
        every = [entry for entries in self._jobs.values() for entry in entries]
        return [entry.key for entry in every if entry.code is None]

    @property
    def documents(self) -> int:
        return sum(map(len, self._jobs.values()))

    def compare(self, connection: psycopg.Connection[Any]) -> Findings:
        """With SQL, once every job is over."""
        findings = Findings(documents=self.documents)
        for job_id, entries in self._jobs.items():
            _compare_rows(connection, job_id, entries, findings)
            status = "cancelled" if job_id in self._cancelled else _status(entries)
            _compare_counts(connection, job_id, status, entries, findings)
            _compare_ends(connection, job_id, 1 + self._reopened.count(job_id), findings)
        (strangers,) = connection.execute(
            "SELECT count(*) FROM jobs WHERE id <> ALL(%s)", [self.job_ids]
        ).fetchone() or (0,)
        if strangers:
            findings.wrong.append(f"{strangers} jobs that nobody submitted")
        return findings


def _compare_rows(
    connection: psycopg.Connection[Any], job_id: str, entries: list[Entry], findings: Findings
) -> None:
    stored = connection.execute(
        "SELECT index, summary, error_code FROM summaries WHERE job_id = %s", [job_id]
    )
    rows = {index: (summary, code) for index, summary, code in stored}
    inserted = audit.inserts(connection, job_id)
    for index, entry in enumerate(entries):
        where = f"{job_id} document {index}"
        if index not in rows:
            findings.lost.append(where)
        elif rows[index] != (entry.summary, entry.code):
            findings.wrong.append(f"{where}: {rows[index]}, not {(entry.summary, entry.code)}")
        if inserted[index] > 1:
            findings.doubled.append(f"{where}: {inserted[index]} times")
    findings.doubled += [f"{job_id} document {index}" for index in rows if index >= len(entries)]


def _status(entries: list[Entry]) -> str:
    return "failed" if all(entry.code is not None for entry in entries) else "completed"


def _compare_counts(
    connection: psycopg.Connection[Any],
    job_id: str,
    status: str,
    entries: list[Entry],
    findings: Findings,
) -> None:
    """The job's own counts, the sums of its shards and the rows are one.

    Tokens are those of what was generated for it; where anything was reused, each row of it has
    as many.
    """
    failed = sum(entry.code is not None for entry in entries)
    expected = {"total": len(entries), "completed": len(entries) - failed, "failed": failed}
    with connection.cursor(row_factory=dict_row) as cursor:
        job = cursor.execute(
            "SELECT status, total, completed, failed, reused, output_tokens "
            "FROM jobs WHERE id = %s",
            [job_id],
        ).fetchone()
        shards = cursor.execute(
            "SELECT sum(stop - start)::int8 AS total, sum(completed)::int8 AS completed, "
            "sum(failed)::int8 AS failed, sum(reused)::int8 AS reused, "
            "sum(output_tokens)::int8 AS output_tokens, "
            "count(*) FILTER (WHERE state <> 'done') AS unfinished FROM shards WHERE job_id = %s",
            [job_id],
        ).fetchone()
        rows = cursor.execute(
            "SELECT sum(output_tokens)::int8 AS output_tokens FROM summaries WHERE job_id = %s",
            [job_id],
        ).fetchone()
    assert job is not None
    assert shards is not None
    assert rows is not None
    expected["reused"] = reused = job["reused"]
    made = rows["output_tokens"] * (len(entries) - failed - reused) // (len(entries) - failed or 1)
    expected["output_tokens"] = made
    for found, should in (
        (job, {"status": status, **expected}),
        (shards, {**expected, "unfinished": 0}),
    ):
        different = {name: found[name] for name in should if found[name] != should[name]}
        if different:
            findings.wrong.append(f"{job_id}: {different}, not {should}")


def _compare_ends(
    connection: psycopg.Connection[Any], job_id: str, lives: int, findings: Findings
) -> None:
    """Each of the job's lives ended once: by one finalization, or by being cancelled."""
    states = audit.states(connection, job_id)
    ends = sum(states[status] for status in ("completed", "failed", "cancelled", "expired"))
    finalized = states["finalizing"] + states["cancelled"]
    if (ends, finalized) != (lives, lives):
        findings.wrong.append(f"{job_id}: {lives} lives, but {dict(states)}")

"""How a job goes, as a picture: of a real database, small jobs and large ones."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from jobs.database import Database, Transaction
from jobs.job import Row
from jobs.store import progress, workers
from jobs.store.progress import BUCKETS, CELLS, Bucket
from jobs.store.workers import Presence
from producer import samples
from tests import leases

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


def add_job(tx: Transaction, total: int, hours: float) -> str:
    """One that took so long, and is over."""
    job_id = "job_aaaaaaaaaaaa"
    tx.execute(
        text("""
        INSERT INTO jobs (id, status, model, requested, source, shard_size, total, started_at,
                          finished_at)
        VALUES (:id, 'completed', 'lead-1', '{}', '{"kind": "inline"}', 256, :total, :at, :end)
        """),
        {"id": job_id, "total": total, "at": NOON, "end": NOON + timedelta(hours=hours)},
    )
    return job_id


def add_shards(tx: Transaction, job_id: str, count: int, hours: float) -> None:
    """Evenly over the hours; each with one failed document."""
    tx.execute(
        text("""
        INSERT INTO shards (job_id, number, start, stop, state, attempt, completed, failed,
                            input_tokens, output_tokens, started_at, finished_at)
        SELECT :id, n, n * 256, n * 256 + 256, 'done', 1, 255, 1, 3000000000, 10,
               CAST(:at AS timestamptz), CAST(:at AS timestamptz) + n * :each * interval '1 second'
          FROM generate_series(0, :count - 1) n
        """),
        {"id": job_id, "at": NOON, "count": count, "each": hours * 3600 / count},
    )


@pytest.mark.parametrize("hours", [0.001, 1.0, 7.5, 90.0, 24 * 400.0])
def test_a_large_job_is_a_bounded_number_of_buckets_and_squares(
    database: Database, hours: float
) -> None:
    count = 1500
    with database.transaction() as tx:
        job_id = add_job(tx, count * 256, hours)
        add_shards(tx, job_id, count, hours)
        line = progress.timeline(tx, job_id)
        cells = progress.strip(tx, job_id)
    assert line
    assert line.by_shard
    assert 1 < len(line.buckets) <= BUCKETS
    assert sum(each.documents for each in line.buckets) == count * 256
    assert sum(each.failed for each in line.buckets) == count
    assert sum(each.input_tokens for each in line.buckets) == count * 3_000_000_000
    assert all(each.documents for each in line.buckets[:-1]), "evenly spread"
    assert len(cells) == CELLS
    assert [cell.shards for cell in cells] == [5] * CELLS
    assert (cells[0].first, cells[-1].last, cells[-1].stop) == (0, count - 1, count * 256)
    assert {(cell.done, cell.failed) for cell in cells} == {(5, 5)}


def test_a_small_job_is_seen_by_its_rows(database: Database) -> None:
    with database.transaction() as tx:
        job_id = add_job(tx, 20, hours=0.01)
        tx.execute(
            text("""
            INSERT INTO summaries (job_id, index, summary, error_code, input_tokens,
                                   output_tokens, truncated, created_at)
            SELECT :id, n, CASE WHEN n < 19 THEN 'S.' END, CASE WHEN n = 19 THEN 'too_long' END,
                   30, 3, false, CAST(:at AS timestamptz) + n * interval '1 second'
              FROM generate_series(0, 19) n
            """),
            {"id": job_id, "at": NOON},
        )
        line = progress.timeline(tx, job_id)
    assert line
    assert (line.start, line.width, len(line.buckets)) == (NOON, 1, 37)
    assert line.buckets[0] == Bucket(1, 0, 30, 3)
    assert line.buckets[19] == Bucket(1, 1, 30, 3)
    assert line.buckets[20] == Bucket(0, 0, 0, 0)


def test_what_has_not_begun_has_no_timeline(database: Database) -> None:
    job_id = leases.submitted(database, 3)
    with database.transaction() as tx:
        assert progress.timeline(tx, job_id) is None
        (cell,) = progress.strip(tx, job_id)
        assert (cell.documents, cell.done, cell.running) == (3, 0, 0)
        assert progress.strip(tx, "job_nonesuch") == []


def test_who_is_at_it_and_since_when(database: Database) -> None:
    job_id = leases.started(database, 6)
    with database.transaction() as tx:
        workers.announce(tx, Presence(leases.WORKER, "worker", "mill1", 7, "cuda:0", "0.1"))
    shard = leases.lease(database)
    leases.store(database, shard, done=[0, 1], in_hand=[2, 3, 4])
    with database.transaction() as tx:
        (found,) = progress.at_work(tx, job_id)
        assert progress.strip(tx, job_id)[0].running == 1
    assert (found.name, found.host, found.device) == (leases.WORKER, "mill1", "cuda:0")
    assert (found.shards, found.left, found.in_batch) == (1, 4, 3)
    assert found.since is not None
    # One that took it over, and has not said yet who it is: nothing is known of it.
    with database.transaction() as tx:
        tx.execute(text("UPDATE shards SET leased_by = 'other', attempt = 2"))
        (other,) = progress.at_work(tx, job_id)
    assert (other.name, other.host, other.device, other.since) == ("other", None, None, None)


def test_samples_are_few_and_the_same_again(database: Database) -> None:
    job_id = leases.started(database, 40)
    shard = leases.lease(database)
    rows = [
        Row(
            n, None, f"Summary {n}" + " long" * (n == 9), 5, 2, False, "stop", None, None, reference
        )
        for n, reference in enumerate(["Nothing alike"] * 2 + ["Summary 2"] + [None] * 37)
    ]
    with database.transaction() as tx:
        assert leases.stored(tx, shard, rows, done=True)
    client = _Only(database)

    def indexes(order: samples.Order, turn: int = 0) -> list[int]:
        found = samples.samples(client, job_id, order, turn=turn)  # type: ignore[arg-type]
        assert (found.drawn, found.whole, found.references) == (40, True, 3)
        assert all(row.text and str(row.index) in row.text for row in found.rows)
        return [row.index for row in found.rows]

    assert indexes("random") == indexes("random")
    assert len({tuple(indexes("random", turn)) for turn in range(5)}) > 1
    assert indexes("longest")[0] == 9
    assert indexes("lowest") == [0, 1, 2]


class _Only:
    """As much of a client as samples are read by."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def sources(self) -> object:
        from jobs.allowed_sources import Allowed
        from jobs.sources import Sources

        return Sources(self.database, Allowed(None))

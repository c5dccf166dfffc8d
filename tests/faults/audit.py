"""Triggers of the test's own that write down what happens to rows, and when.

They see what gistmill's counts could hide: a row that is stored twice, a job that ends twice.
"""

from collections import Counter
from typing import Any

import psycopg

_TABLES = """
CREATE TABLE audit_rows (job_id text, index bigint, what text,
    at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE audit_moves (what text, id text, was text, now text,
    at timestamptz NOT NULL DEFAULT clock_timestamp());

CREATE FUNCTION audit_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO audit_rows VALUES (OLD.job_id, OLD.index, TG_OP);
    ELSE
        INSERT INTO audit_rows VALUES (NEW.job_id, NEW.index, TG_OP);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON summaries
    FOR EACH ROW EXECUTE FUNCTION audit_row();

CREATE FUNCTION audit_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_moves VALUES ('job', NEW.id, OLD.status, NEW.status);
    RETURN NULL;
END $$;
CREATE FUNCTION audit_shard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_moves VALUES ('shard', NEW.id, OLD.state, NEW.state);
    RETURN NULL;
END $$;
CREATE TRIGGER audit AFTER UPDATE OF status ON jobs
    FOR EACH ROW WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION audit_job();
CREATE TRIGGER audit AFTER UPDATE OF state, attempt ON shards
    FOR EACH ROW WHEN (OLD.state <> NEW.state OR OLD.attempt <> NEW.attempt)
    EXECUTE FUNCTION audit_shard();
"""


def install(connection: psycopg.Connection[Any]) -> None:
    connection.execute(_TABLES)


def inserts(connection: psycopg.Connection[Any], job_id: str) -> Counter[int]:
    """How often a row was inserted for each document; what was deleted since does not count."""
    rows = connection.execute("SELECT index, what FROM audit_rows WHERE job_id = %s", [job_id])
    counted: Counter[int] = Counter()
    for index, what in rows:
        counted[index] += -1 if what == "DELETE" else 1
    return counted


def states(connection: psycopg.Connection[Any], job_id: str) -> Counter[str]:
    """How often the job came to each state."""
    moves = "SELECT now FROM audit_moves WHERE what = 'job' AND id = %s"
    return Counter(status for (status,) in connection.execute(moves, [job_id]))


def moves(connection: psycopg.Connection[Any], what: str) -> Counter[tuple[str, str]]:
    """From which state to which jobs, or shards, went, and how often."""
    found = "SELECT was, now FROM audit_moves WHERE what = %s AND was <> now"
    rows = connection.execute(found, [what])
    return Counter((was, now) for was, now in rows)


def next_event(connection: psycopg.Connection[Any], since: float) -> float | None:
    """When a row was stored or a job changed its state, the first time after `since`, in unix
    time; None where nothing has happened since."""
    (first,) = connection.execute(
        "SELECT extract(epoch FROM min(at))::float8 FROM "
        "(SELECT at FROM audit_rows UNION ALL "
        "SELECT at FROM audit_moves WHERE what = 'job') AS events "
        "WHERE extract(epoch FROM at) > %s",
        [since],
    ).fetchone() or (None,)
    return first


def next_row(
    connection: psycopg.Connection[Any], since: float, job_id: str, start: int, stop: int
) -> float | None:
    """As `next_event`, of rows of the job with `start <= index < stop` alone."""
    (first,) = connection.execute(
        "SELECT extract(epoch FROM min(at))::float8 FROM audit_rows WHERE what = 'INSERT' "
        "AND job_id = %s AND index >= %s AND index < %s AND extract(epoch FROM at) > %s",
        [job_id, start, stop, since],
    ).fetchone() or (None,)
    return first


def next_move(
    connection: psycopg.Connection[Any], since: float, job_id: str, start: int, stop: int
) -> float | None:
    """As `next_event`, of the shard with these documents: it changed its state, or was leased
    anew, or a row of it was stored."""
    (first,) = connection.execute(
        "SELECT extract(epoch FROM min(at))::float8 FROM audit_moves JOIN shards "
        "ON what = 'shard' AND audit_moves.id = shards.id::text "
        "WHERE job_id = %s AND start = %s AND stop = %s AND extract(epoch FROM at) > %s",
        [job_id, start, stop, since],
    ).fetchone() or (None,)
    found = [at for at in (first, next_row(connection, since, job_id, start, stop)) if at]
    return min(found, default=None)

"""Migrations, up and down, with data in."""

import sys
from pathlib import Path

import pytest

from jobs.database import Database
from jobs.documents import Columns
from jobs.errors import NotMigrated, UsageError
from jobs.settings import Settings
from jobs.store import jobs, workers
from jobs.tables import metadata
from producer.submit import Request, from_python, submit_documents
from tests.mill import Mill, sentences


def test_every_step_up_and_down_with_data(database: Database) -> None:
    job_id = _submitted(database)
    steps = len(list(Path("migrations/versions").glob("[0-9]*.py")))
    for _ in range(steps):
        database.migrate_down("-1")
    assert database.revision() is None
    database.migrate()
    assert database.difference() == []
    with database.transaction() as tx:
        assert jobs.latest(tx, 10) == [], f"{job_id} went with its table"
    _submitted(database)


def test_migrating_again_changes_nothing(database: Database) -> None:
    job_id = _submitted(database)
    database.migrate()
    with database.transaction() as tx:
        assert jobs.get(tx, job_id).total == 3


def test_a_difference_is_seen(database: Database) -> None:
    with database.transaction() as tx:
        tx.exec_driver_sql("ALTER TABLE jobs ADD COLUMN stray integer")
    assert "stray" in " ".join(database.difference())


def test_a_difference_in_a_check_or_a_predicate_is_seen(database: Database) -> None:
    with database.transaction() as tx:
        tx.exec_driver_sql("ALTER TABLE jobs DROP CONSTRAINT ck_jobs_status")
        tx.exec_driver_sql("ALTER TABLE jobs ADD CONSTRAINT ck_jobs_status CHECK (status <> '')")
        tx.exec_driver_sql("DROP INDEX ix_shards_queued")
        tx.exec_driver_sql("CREATE INDEX ix_shards_queued ON shards (queued_at)")
    [check, index] = database.difference()
    assert check.startswith("ck_jobs_status is CHECK ((status <> ''::text)), not CHECK (")
    assert index.endswith("ON shards USING btree (queued_at) WHERE state = 'queued'::text")


def test_our_own_migrations_are_run(
    empty: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not those that Python finds first under this name."""
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "migrations", raising=False)
    assert empty.database_url
    bare = Database(empty.database_url)
    bare.migrate()
    assert bare.difference() == []
    bare.close()


def test_an_unknown_revision(database: Database) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        database.migrate("nowhere")


def test_a_database_without_tables(empty: Settings) -> None:
    assert empty.database_url
    bare = Database(empty.database_url)
    with pytest.raises(NotMigrated, match="gistmill migrate"), bare.transaction() as tx:
        workers.alive(tx, "worker", 60)
    bare.close()


def test_the_command(mill: Mill) -> None:
    mill.command("migrate", "--check")
    assert "at base" in mill.command("migrate", "--down", "base").stderr
    assert "gistmill migrate" in mill.command("ls", expect=5).stderr
    mill.command("migrate", "--check", expect=1)
    mill.command("migrate")
    mill.command("migrate", "--check")
    assert "exclude" in mill.command("migrate", "--check", "--to", "0001", expect=2).stderr


def test_every_table_is_made(database: Database) -> None:
    with database.transaction() as tx:
        query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        made = set(tx.exec_driver_sql(query).scalars())
    assert made == {*metadata.tables, "alembic_version"}


def _submitted(database: Database) -> str:
    given = from_python([*sentences(2), ""], Columns())
    return submit_documents(database, Request(model="lead-1"), given).job_id

"""One database, its connections, and the migrations that bring it up to date.

Callers hold a transaction for one story and pass it on; `Transaction` is the
only thing of SQLAlchemy's that they name.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from psycopg.errors import (
    DeadlockDetected,
    DiskFull,
    ReadOnlySqlTransaction,
    SerializationFailure,
    UndefinedColumn,
    UndefinedTable,
)
from sqlalchemy import Connection, create_engine, event, func, make_url, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as NoneLeft

from jobs.errors import DatabaseRefuses, DatabaseUnreachable, NotMigrated, UsageError

Transaction = Connection

_CONNECT_SECONDS = 5
# A server whose machine is gone says nothing any more; without these its clients would wait for
# two hours, or for a quarter of one. Unix sockets ignore them.
_NOTICE_SILENCE = {
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
# Whoever stops in the middle of a transaction, its machine asleep perhaps, loses it after this,
# and with it the rows that others wait for.
_IDLE = "SET idle_in_transaction_session_timeout = '30s'"
# Names our migration among a database's advisory locks: "gistmill" in ASCII.
_MIGRATION_LOCK = 0x676973746D696C6C
# Beside our package. By name, a user's own `migrations` could be found, and run.
_MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"


class Database:
    """A PostgreSQL database. Cheap to make: connects when first asked.

    `url` is SQLAlchemy's; the driver is psycopg 3 whether it names one or not.
    """

    def __init__(self, url: str, *, connections: int = 4) -> None:
        try:
            parsed = make_url(url)
        except (ArgumentError, ValueError):  # the latter for a port that is no number
            raise UsageError(
                "database_url is not a URL; write postgresql://user@host/name, with / # @ in a "
                "password percent-encoded "
                "(`gistmill config` shows where it stands)"
            ) from None
        if parsed.get_backend_name() not in ("postgresql", "postgres"):
            raise UsageError(
                f"database_url names {parsed.get_backend_name()}, not PostgreSQL "
                "(`gistmill config` shows where it stands)"
            )
        self.url = parsed.set(drivername="postgresql+psycopg")
        self._engine = create_engine(
            self.url,
            pool_size=connections,
            pool_pre_ping=True,
            # An error is told without the values that it was about, documents among them.
            hide_parameters=True,
            connect_args={
                "connect_timeout": _CONNECT_SECONDS,
                **_NOTICE_SILENCE,
                "application_name": "gistmill",
            },
        )
        event.listen(self._engine, "connect", _bound)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A transaction, committed at the end and rolled back on an error.

        Raises DatabaseUnreachable where the server does not answer or ends the connection,
        at any point, DatabaseRefuses where it takes no writes, and NotMigrated where our
        tables are not there.
        """
        try:
            with self._engine.begin() as transaction:
                yield transaction
        except NoneLeft as error:
            raise DatabaseUnreachable(
                f"this process has all its connections to the database at {self.where} in use; "
                "try again"
            ) from error
        except DBAPIError as error:
            if isinstance(error.orig, DiskFull | ReadOnlySqlTransaction):
                raise DatabaseRefuses(
                    f"the database at {self.where} takes no writes: {_first_line(error)}"
                ) from error
            if isinstance(error, OperationalError) or error.connection_invalidated:
                if isinstance(error.orig, DeadlockDetected | SerializationFailure):
                    raise DatabaseUnreachable(
                        f"the database at {self.where} put another transaction first; try again"
                    ) from error
                raise DatabaseUnreachable(
                    f"the database at {self.where} does not answer: {_first_line(error)}"
                ) from error
            if isinstance(error.orig, UndefinedTable | UndefinedColumn):
                raise NotMigrated(
                    f"the database at {self.where} lacks gistmill's tables; run: gistmill migrate"
                ) from error
            raise

    @property
    def where(self) -> str:
        """The server's address without credentials, for messages."""
        host = self.url.host or self.url.query.get("host", "localhost")
        return f"{host}:{self.url.port}" if self.url.port else str(host)

    def close(self) -> None:
        self._engine.dispose()

    def migrate(self, revision: str = "head") -> None:
        """Bring the tables up to `revision`. Safe to call from several processes at once.

        Raises UsageError for a revision that does not exist.
        """
        # Each command on embedded services comes by here: alembic takes longer to import than
        # most of them need for all the rest.
        if revision == "head" and self.revision() == self.newest_revision():
            return
        from alembic import command

        with self._migrating() as config:
            command.upgrade(config, revision)

    def migrate_down(self, revision: str) -> None:
        """Bring the tables down to `revision` (`base`, `-1`, or a revision's name).

        Raises UsageError for a revision that does not exist.
        """
        from alembic import command

        with self._migrating() as config:
            command.downgrade(config, revision)

    @contextmanager
    def _migrating(self) -> Iterator[Any]:
        from alembic.util import CommandError

        with self.transaction() as transaction:
            # Of two that migrate at once, the second waits and finds nothing to do.
            transaction.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            config = _alembic()
            config.attributes["connection"] = transaction
            try:
                yield config
            except CommandError as error:
                raise UsageError(f"migrate: {error}") from None

    def difference(self) -> list[str]:
        """What stands between the database and `jobs.tables`, a line each."""
        from alembic.autogenerate import compare_metadata
        from alembic.migration import MigrationContext

        from jobs.tables import metadata

        with self.transaction() as transaction:
            context = MigrationContext.configure(
                transaction, opts={"compare_type": True, "compare_server_default": True}
            )
            changes = [str(change) for change in compare_metadata(context, metadata)]
            return changes + _differing_definitions(transaction)

    def server_version(self) -> str:
        with self.transaction() as transaction:
            return str(transaction.execute(text("SHOW server_version")).scalar_one())

    def newest_revision(self) -> str:
        """The migration that this version of gistmill brings a database to: files begin with
        their number."""
        return max(file.name for file in (_MIGRATIONS / "versions").glob("[0-9]*.py"))[:4]

    def revision(self) -> str | None:
        """The migration that the database is at; None for an empty database."""
        with self.transaction() as transaction:
            return _current(transaction)


def _bound(connection: Any, record: object) -> None:
    """Not as an option of the connection: a pooler in between would refuse it."""
    del record
    connection.execute(_IDLE)
    connection.commit()


def _alembic() -> Any:
    from alembic.config import Config

    config = Config()
    # Doubled, as in any ini file: a percent sign in the path is no interpolation.
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


def _current(transaction: Transaction) -> str | None:
    if transaction.execute(text("SELECT to_regclass('alembic_version')")).scalar_one() is None:
        return None
    return transaction.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def _differing_definitions(transaction: Transaction) -> list[str]:
    """What alembic does not compare: CHECK constraints, and the predicates of indexes.

    As PostgreSQL itself writes them, and against tables made afresh: what `jobs.tables`
    says in other words may be the same.
    """
    from jobs.tables import metadata

    found = _definitions(transaction, list(metadata.tables))
    with transaction.begin_nested() as scratch:
        transaction.execute(text("SET LOCAL search_path TO pg_temp"))
        metadata.create_all(transaction, checkfirst=False)
        wanted = _definitions(transaction, list(metadata.tables))
        scratch.rollback()
    return [
        f"{name} is {found.get(name, 'missing')}, not {wanted.get(name, 'there at all')}"
        for name in sorted(found.keys() | wanted.keys())
        if found.get(name) != wanted.get(name)
    ]


def _definitions(transaction: Transaction, tables: list[str]) -> dict[str, str]:
    """By name, those of the schema that comes first on the search path."""
    rows = transaction.execute(_DEFINITIONS, {"tables": tables})
    return {row.name: row.definition for row in rows}


_DEFINITIONS = text("""
SELECT conname AS name, pg_get_constraintdef(c.oid) AS definition
  FROM pg_constraint c JOIN pg_class t ON t.oid = conrelid
 WHERE contype = 'c' AND relnamespace = current_schema()::regnamespace AND relname = ANY(:tables)
 UNION ALL
SELECT i.relname, pg_get_indexdef(i.oid, 0, true)
  FROM pg_index JOIN pg_class i ON i.oid = indexrelid JOIN pg_class t ON t.oid = indrelid
 WHERE t.relnamespace = current_schema()::regnamespace AND t.relname = ANY(:tables)
""")


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).strip().partition("\n")[0]

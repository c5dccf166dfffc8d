"""One database, its connections, and the migrations that bring it up to date.

Callers hold a transaction for one story and pass it on; `Transaction` is the
only thing of SQLAlchemy's that they name.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from psycopg.errors import UndefinedColumn, UndefinedTable
from sqlalchemy import Connection, create_engine, func, make_url, select, text
from sqlalchemy.exc import ArgumentError, OperationalError, ProgrammingError

from jobs.errors import DatabaseUnreachable, NotMigrated, UsageError

Transaction = Connection

# Milliseconds: a dispatcher that stops in the middle gives its lock back after this.
_IDLE_IN_TRANSACTION = 30_000
_CONNECT_SECONDS = 5
# Names our migration among a database's advisory locks: "gistmill" in ASCII.
_MIGRATION_LOCK = 0x676973746D696C6C


class Database:
    """A PostgreSQL database. Cheap to make: connects when first asked.

    `url` is SQLAlchemy's; the driver is psycopg 3 whether it names one or not.
    """

    def __init__(self, url: str, *, connections: int = 4) -> None:
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise UsageError(
                "database_url is not a URL; write postgresql://user@host/name "
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
            connect_args={
                "connect_timeout": _CONNECT_SECONDS,
                "options": f"-c idle_in_transaction_session_timeout={_IDLE_IN_TRANSACTION}",
                "application_name": "gistmill",
            },
        )

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A transaction, committed at the end and rolled back on an error.

        Raises DatabaseUnreachable where the server does not answer, at any point, and
        NotMigrated where our tables are not there.
        """
        try:
            with self._engine.begin() as transaction:
                yield transaction
        except OperationalError as error:
            raise DatabaseUnreachable(
                f"the database at {self.where} does not answer: {_first_line(error)}"
            ) from error
        except ProgrammingError as error:
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
        from alembic.config import Config
        from alembic.util import CommandError

        with self.transaction() as transaction:
            # Of two that migrate at once, the second waits and finds nothing to do.
            transaction.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            config = Config()
            # Doubled, as in any ini file: a percent sign in the path is no interpolation.
            config.set_main_option("script_location", _migrations().replace("%", "%%"))
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
            return [str(change) for change in compare_metadata(context, metadata)]

    def server_version(self) -> str:
        with self.transaction() as transaction:
            return str(transaction.execute(text("SHOW server_version")).scalar_one())

    def newest_revision(self) -> str | None:
        """The migration that this version of gistmill brings a database to."""
        from alembic.config import Config
        from alembic.script import ScriptDirectory

        config = Config()
        config.set_main_option("script_location", _migrations())
        return ScriptDirectory.from_config(config).get_current_head()

    def revision(self) -> str | None:
        """The migration that the database is at; None for an empty database."""
        with self.transaction() as transaction:
            return _current(transaction)


def _migrations() -> str:
    """The folder of the migrations, found without importing them: they run only under alembic."""
    spec = find_spec("migrations")
    if spec is None or not spec.submodule_search_locations:
        raise UsageError("gistmill's migrations are missing; install gistmill again")
    return spec.submodule_search_locations[0]


def _current(transaction: Transaction) -> str | None:
    from alembic.migration import MigrationContext

    return MigrationContext.configure(transaction).get_current_revision()


def _first_line(error: OperationalError) -> str:
    return str(error.orig).strip().partition("\n")[0]

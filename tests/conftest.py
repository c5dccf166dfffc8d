"""Real services: one PostgreSQL and one Valkey a session, and each test its own part of them."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import hypothesis
import psycopg
import pytest
import redis
from psycopg import sql

from jobs import services
from jobs.broker import Broker
from jobs.database import Database
from jobs.services import Endpoints
from jobs.settings import Settings, Timings
from tests.browser import chromium, tab, watched  # noqa: F401 - fixtures
from tests.mill import Mill, eventually
from tests.serving import Served, serving

# Short enough that a test sees a lease run out, long enough for a busy machine of two cores.
TIMINGS = Timings(
    dispatch_interval=0.2,
    resend_after=3,
    lease=6,
    heartbeat=1,
    alive=10,
    slice=5,
    drain=5,
    retry_first=0.2,
    poll=0.1,
    services_linger=1,
)

# The same examples on each run, and no failure for a machine that is slow.
hypothesis.settings.register_profile(
    "gistmill",
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("gistmill")

_numbers = count()
_REDIS_DATABASES = 16


@pytest.fixture(scope="session")
def endpoints() -> Iterator[Endpoints]:
    """The session's services, under a home of their own."""
    # Not pytest's tmp_path: most tests should see short paths, as users have them.
    with tempfile.TemporaryDirectory(prefix="gm") as home:
        found = services.connect(Settings(home=Path(home), timings=TIMINGS))
        yield found
        found.release()
        assert services.wait_stopped(Path(home), 30)


@pytest.fixture(scope="session")
def migrated(endpoints: Endpoints) -> str:
    """The name of a database with our tables, for others to be copied from."""
    name = "migrated"
    with psycopg.connect(_plain(endpoints.database_url), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    made = Database(_named(endpoints.database_url, name))
    made.migrate()
    made.close()
    return name


@pytest.fixture
def empty(endpoints: Endpoints, tmp_path: Path) -> Iterator[Settings]:
    """Settings of a mill of the test's own: a database without tables, an empty queue, a home."""
    with mill_of_its_own(endpoints, "template1", tmp_path) as configured:
        yield configured


@pytest.fixture
def configured(endpoints: Endpoints, migrated: str, tmp_path: Path) -> Iterator[Settings]:
    """Settings of a mill of the test's own, its tables made."""
    with mill_of_its_own(endpoints, migrated, tmp_path) as configured:
        yield configured


@pytest.fixture
def database(configured: Settings) -> Iterator[Database]:
    assert configured.database_url
    opened = Database(configured.database_url)
    yield opened
    opened.close()


@pytest.fixture
def broker(configured: Settings) -> Iterator[Broker]:
    assert configured.broker_url
    opened = Broker(configured.broker_url, configured.timings)
    yield opened
    opened.close()


@pytest.fixture
def mill(configured: Settings, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Mill]:
    """A mill in which nothing runs yet."""
    logs = tmp_path / "logs"
    logs.mkdir()
    running = Mill(configured, logs)
    yield running
    running.stop()
    request.node.add_report_section("teardown", "mill", running.logs())


@pytest.fixture(scope="module")
def running(
    endpoints: Endpoints, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mill]:
    """A mill with a dispatcher and a worker, for all tests of a module."""
    folder = tmp_path_factory.mktemp("mill")
    with mill_of_its_own(endpoints, migrated, folder) as configured:
        started = Mill(configured, folder)
        started.dispatcher()
        started.worker()
        for name in ("dispatcher", "worker"):
            log = started.log(name)
            eventually(lambda log=log: "is ready" in log.read_text(), name)  # type: ignore[misc]
        yield started
        started.stop()
        print(started.logs())


@pytest.fixture(scope="module")
def served(running: Mill) -> Iterator[Served]:
    """`gistmill serve` of the module's running mill."""
    with serving(running) as found:
        yield found


@contextmanager
def mill_of_its_own(endpoints: Endpoints, template: str, folder: Path) -> Iterator[Settings]:
    number = next(_numbers)
    name = f"test_{number}"
    words = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
    with psycopg.connect(_plain(endpoints.database_url), autocommit=True) as connection:
        connection.execute(words.format(sql.Identifier(name), sql.Identifier(template)))
        virtual_host = f"virtual_host={number % _REDIS_DATABASES}"
        broker_url = endpoints.broker_url.replace("virtual_host=0", virtual_host)
        _flush(broker_url)
        yield Settings(
            home=folder / "home",
            database_url=_named(endpoints.database_url, name),
            broker_url=broker_url,
            timings=TIMINGS,
        )
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _named(url: str, database: str) -> str:
    return url.replace("/postgres?", f"/{database}?")


def _plain(url: str) -> str:
    """SQLAlchemy's URL as psycopg's."""
    return url.replace("postgresql+psycopg:", "postgresql:")


def _flush(broker_url: str) -> None:
    parts = urlsplit(broker_url)
    number = int(parts.query.removeprefix("virtual_host="))
    socket, password = parts.path, parts.password
    with redis.Redis(unix_socket_path=socket, password=password, db=number) as client:
        client.flushdb()

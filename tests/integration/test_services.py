"""The embedded services: there while somebody needs them, gone when nobody does, never broken."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

import migrations
from jobs import services, settings
from jobs.broker import Broker
from jobs.database import Database
from jobs.errors import Unreachable, UsageError
from jobs.services import Endpoints, locks, places, postgres
from jobs.settings import Settings, Timings
from tests.mill import PATIENCE, eventually, mentioning, running

QUICK = Timings(services_linger=0.5)

# A client in a process of its own: says that it is connected, then stays until its input ends.
CLIENT = (
    "import sys; from jobs import services, settings; "
    "held = services.connect(settings.load()); print('connected', flush=True); sys.stdin.read()"
)


@pytest.fixture
def home() -> Iterator[Path]:
    """A short path, as users have; whatever runs for it at the end is a failure."""
    folder = Path(tempfile.mkdtemp(prefix="gm"))
    yield folder
    try:
        eventually(lambda: not mentioning(str(folder)), "every process of the home is gone")
    finally:
        for pid in mentioning(str(folder)):
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder)


def test_data_outlives_the_services(home: Path) -> None:
    first = _connect(home)
    assert first.embedded_database
    _write(first)
    first.release()
    first.release()
    assert services.wait_stopped(home, PATIENCE)
    assert mentioning(str(home)) == []
    again = _connect(home)
    assert (again.database_url, again.broker_url) == (first.database_url, first.broker_url)
    assert _read(again) == ("kept", b"kept")
    again.release()


def test_one_process_serves_all_clients(home: Path) -> None:
    """Eight at once on a fresh home; the last one to go takes the services along."""
    clients = [_client(home) for _ in range(8)]
    for client in clients:
        _connected(client)
    assert len(_of(home, "jobs.services")) == 1
    for client in clients[1:]:
        _kill(client)
    # Only the first still holds them. It is asked, not the clock, whether they are there.
    assert not services.wait_stopped(home, 2)
    with_us = _connect(home)
    assert _write(with_us)
    with_us.release()
    _kill(clients[0])


def test_a_killed_supervisor(home: Path) -> None:
    """Its servers die with it; the next client starts anew, whatever lies about."""
    held = _connect(home)
    _write(held)
    (supervisor,) = _of(home, "jobs.services")
    os.kill(supervisor, signal.SIGKILL)
    eventually(lambda: not mentioning(str(home)), "the servers follow")
    # A pid that now belongs to somebody else: this very process.
    stranger = f"{os.getpid()}\n{home}\n"
    (places.of(home).postgres_data / "postmaster.pid").write_text(stranger)
    (places.of(home).sockets / ".s.PGSQL.5432.lock").write_text(stranger)
    again = _connect(home)
    assert _read(again) == ("kept", b"kept")
    again.release()
    held.release()


def test_servers_of_a_killed_supervisor_are_waited_for(home: Path) -> None:
    """Who holds the services brings them back; one that is slow to die loses and breaks nothing."""
    held = _connect(home)
    _write(held)
    assert not held.keep_up()
    (supervisor,) = _of(home, "jobs.services")
    (slow,) = _of(home, "valkey-server")
    os.kill(slow, signal.SIGSTOP)
    os.kill(supervisor, signal.SIGKILL)
    eventually(held.keep_up, "its death is seen")
    assert not held.keep_up(), "not twice at once"
    eventually(lambda: services.database_answers(held.database_url), "PostgreSQL is back")
    assert _of(home, "valkey-server") == [slow]
    os.kill(slow, signal.SIGCONT)
    eventually(lambda: services.broker_answers(held.broker_url), "Valkey is back")
    assert _of(home, "valkey-server") != [slow]
    assert _read(held) == ("kept", b"kept")
    held.release()


@pytest.mark.parametrize("server", ["pginstall18/bin/postgres", "valkey-server"])
def test_a_killed_server_comes_back(home: Path, server: str) -> None:
    held = _connect(home)
    _write(held)
    (pid,) = _of(home, server)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: _of(home, server) not in ([], [pid]), "another one is started")
    eventually(lambda: services.answer(held.database_url, held.broker_url), "it answers")
    assert _read(held) == ("kept", b"kept")
    held.release()


def test_clients_come_and_go(home: Path) -> None:
    """Connecting just as the services stop waits for them to be gone, and starts them again."""
    hasty = Settings(home=home, timings=Timings(services_linger=0.01))
    for _ in range(8):
        held = services.connect(hasty)
        assert _write(held)
        held.release()


@pytest.mark.parametrize("name", [f"{'d' * 120}/{'e' * 60}", "a b#%20,\"c'?@{}"])
def test_a_home_that_no_socket_can_lie_in(
    home: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too long a path, or one that a URL would have to quote; gistmill may lie there, too."""
    deep = home / name
    held = _connect(deep)
    sockets = places.of(deep).sockets
    assert sockets.parent == Path(tempfile.gettempdir())
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    assert _write(held)
    assert (places.of(deep).valkey_data / "appendonlydir").is_dir()
    broker = Broker(held.broker_url, QUICK)
    assert broker.queue_length() == 0
    broker.close()
    copy = shutil.copytree(Path(migrations.__file__).parent, deep / "migrations")
    monkeypatch.setattr("jobs.database._MIGRATIONS", copy)
    database = Database(held.database_url)
    database.migrate()
    assert database.revision()
    database.close()
    held.release()
    assert services.wait_stopped(deep, PATIENCE)
    sockets.chmod(0o755)
    with pytest.raises(UsageError, match="not a private folder"):
        places.of(deep)
    shutil.rmtree(sockets)


def test_secrets_are_private(home: Path) -> None:
    held = _connect(home)
    here = places.of(home)
    for file in (here.urls, here.folder / "valkey.conf", here.valkey_data / "password"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for folder in (here.folder, here.postgres_data, here.valkey_data):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("vk.sock", ".s.PGSQL.5432"):
        assert stat.S_IMODE((here.sockets / name).stat().st_mode) == 0o700
    password = urlsplit(held.broker_url).password
    assert password
    socket = urlsplit(held.broker_url).path
    with pytest.raises(redis.AuthenticationError), redis.Redis(unix_socket_path=socket) as client:
        client.ping()
    held.release()


def test_each_url_is_decided_alone(home: Path) -> None:
    mine = Settings(home=home, broker_url="redis://127.0.0.1/1", timings=QUICK)
    held = services.connect(mine)
    assert held.broker_url == "redis://127.0.0.1/1"
    assert services.database_answers(held.database_url)
    held.release()
    both = mine.model_copy(update={"database_url": "postgresql:///x", "home": home / "not"})
    assert not services.connect(both).embedded_database
    assert not both.home.exists()


def test_without_the_wheels(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setattr(places, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"gistmill\[local\].*GISTMILL_DATABASE_URL"):
        _connect(home)


def test_servers_that_do_not_come_up(home: Path) -> None:
    """The line names the log; nothing waits for ever."""
    here = places.of(home)
    here.postgres_data.mkdir()
    (here.postgres_data / "PG_VERSION").write_text("9\n")
    broken = Settings(home=home, timings=QUICK.model_copy(update={"services_start": 3}))
    with pytest.raises(Unreachable, match=r"services\.log"):
        services.connect(broken)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize("name", [".", "d" * 120])
def test_root_without_user_namespaces(
    home: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container may forbid them: then PostgreSQL runs as nobody, on folders of nobody's."""
    home.chmod(0o755)
    monkeypatch.setattr(postgres, "_namespaces_work", lambda: False)
    here = places.of(home / name)
    postgres.check_reachable(here)
    alone = locks.try_exclusive(here.server_lock("postgres"))
    assert alone
    with here.log.open("ab") as log:
        server = postgres.start(here, alone, log.fileno())
        alone.release()
        try:
            eventually(lambda: services.database_answers(postgres.url(here)), "PostgreSQL answers")
            assert here.postgres_data.stat().st_uid == 65534
            assert not locks.is_free(here.server_lock("postgres"))
            assert places.of(home / name) == here, "a folder of nobody's is one of root's"
        finally:
            postgres.stop(server)
            server.wait(PATIENCE)
    if here.sockets != here.folder:
        shutil.rmtree(here.sockets)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_nobody_can_not_enter(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As root's own home, in a container; nothing is started."""
    monkeypatch.setattr(postgres, "_namespaces_work", lambda: False)
    with pytest.raises(UsageError, match=rf"can not enter {home}; set GISTMILL_HOME.*DATABASE_URL"):
        _connect(home / "deep" / "down")
    assert locks.is_free(places.of(home / "deep" / "down").clients_lock)
    home.chmod(0o755)
    monkeypatch.setattr(postgres, "postgres_bin", lambda: home / "venv")
    (home / "venv").mkdir(mode=0o700)
    with pytest.raises(UsageError, match=rf"can not enter {home}/venv; install gistmill where"):
        _connect(home)


def test_a_lock_is_the_kernels(home: Path) -> None:
    path = home / "lock"
    shared = locks.try_shared(path)
    assert shared is not None
    assert locks.is_shared(path)
    assert not locks.is_free(path)
    assert locks.try_exclusive(path) is None
    shared.release()
    assert locks.is_free(path)
    assert not locks.is_shared(path)


def _connect(home: Path) -> Endpoints:
    return services.connect(Settings(home=home, timings=QUICK))


def _client(home: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-c", CLIENT],
        env=settings.child_environment(Settings(home=home, timings=QUICK)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def _kill(client: subprocess.Popen[bytes]) -> None:
    client.kill()
    with client:  # waits, and closes its pipes
        pass


def _connected(client: subprocess.Popen[bytes]) -> None:
    assert client.stdout is not None
    assert client.stdout.readline() == b"connected\n"


def _of(home: Path, program: str) -> list[int]:
    return sorted(set(running(str(home))) & set(running(program)))


def _write(held: Endpoints) -> bool:
    with psycopg.connect(_plain(held)) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept AS SELECT 'kept' AS word")
    with _redis(held) as client:
        return bool(client.set("word", "kept"))


def _read(held: Endpoints) -> tuple[object, object]:
    with psycopg.connect(_plain(held)) as connection, _redis(held) as client:
        row = connection.execute("SELECT word FROM kept").fetchone()
        return row and row[0], client.get("word")


def _plain(held: Endpoints) -> str:
    return held.database_url.replace("+psycopg", "", 1)


def _redis(held: Endpoints) -> redis.Redis:
    parts = urlsplit(held.broker_url)
    return redis.Redis(unix_socket_path=parts.path, password=parts.password)

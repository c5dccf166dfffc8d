"""How the embedded PostgreSQL is made and started.

It listens on a unix socket alone, in a folder that only its owner can enter,
and so asks for no password. PostgreSQL refuses to run as root: root runs it in
a user namespace of its own, in which it is nobody, or as nobody where a
container forbids namespaces. Nobody must then be able to enter the folders above.
"""

import os
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from jobs import tether
from jobs.errors import UsageError
from jobs.services.locks import Lock
from jobs.services.places import NOBODY, SET_URLS, Places, postgres_bin

_OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    # Without details: they quote the row that was refused.
    "log_error_verbosity": "terse",
    "max_connections": "200",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # Its disk is this machine's own, and what it reads is mostly in memory: an index is seldom
    # dearer than the table.
    "random_page_cost": "1.1",
}


def url(here: Places) -> str:
    return f"postgresql+psycopg://gistmill@/postgres?host={here.sockets}"


def check_reachable(here: Places) -> None:
    """Raises UsageError where it must run as nobody and nobody can not enter a folder above."""
    if not _User().nobody:
        return
    cures = {
        here.home: "set GISTMILL_HOME to a folder that others can enter",
        postgres_bin(): "install gistmill where others can enter",
    }
    for path, cure in cures.items():
        if closed := _closed(path):
            raise UsageError(
                "PostgreSQL refuses to run as root, and nobody, whom it runs as here, "
                f"can not enter {closed}; {cure}, {SET_URLS}"
            )


def _closed(path: Path) -> Path | None:
    """The outermost folder on the way to and including `path` that nobody can not enter."""
    real = path.resolve()
    for folder in [*reversed(real.parents), real]:
        found = folder.stat()
        may = stat.S_IXUSR if found.st_uid == NOBODY else stat.S_IXOTH
        if not found.st_mode & may:
            return folder
    return None


def start(here: Places, alone: Lock, log: int) -> subprocess.Popen[bytes]:
    """Start the server, which holds on to the lock `alone`; its data is made first where
    there is none."""
    user = _User()
    user.own(here.folder)
    if not here.postgres_data.exists():
        _make(here, user, alone, log)
    _forget_the_dead(here)
    user.own(here.postgres_data, here.sockets)
    options = {**_OPTIONS, "unix_socket_directories": str(here.sockets)}
    command = [str(postgres_bin() / "postgres"), "-D", str(here.postgres_data)]
    command += [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    # SIGINT is PostgreSQL's fast shutdown: sessions end, everything is written down.
    return user.popen(command, signal.SIGINT, log, alone)


def stop(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGINT)


class _User:
    """Whom PostgreSQL runs as."""

    def __init__(self) -> None:
        root = os.geteuid() == 0
        self._namespace = root and _namespaces_work()
        self.nobody = root and not self._namespace
        """Whether it is nobody outside as well."""

    def own(self, *folders: Path) -> None:
        """Give folders to nobody, where only that helps."""
        if self.nobody:
            for folder in folders:
                shutil.chown(folder, NOBODY, NOBODY)

    def popen(
        self, command: Sequence[str], farewell: signal.Signals, log: int, alone: Lock
    ) -> subprocess.Popen[bytes]:
        """Start `command`, which gets `farewell` when this process ends."""
        nobody = NOBODY if self.nobody else None
        return subprocess.Popen(
            [
                *(_NAMESPACE if self._namespace else []),
                *tether.argv(command, farewell, nobody),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[alone.descriptor],
            start_new_session=True,
        )


_NAMESPACE = ["unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}", "--"]


def _namespaces_work() -> bool:
    if shutil.which(_NAMESPACE[0]) is None:
        return False
    return subprocess.run([*_NAMESPACE, "true"], capture_output=True, check=False).returncode == 0


def _make(here: Places, user: _User, alone: Lock, log: int) -> None:
    """`initdb` beside the place and rename: half a database is never taken for one."""
    for leftover in here.folder.glob("initdb-*"):
        shutil.rmtree(leftover)
    fresh = Path(tempfile.mkdtemp(prefix="initdb-", dir=here.folder))
    user.own(fresh)
    initdb = [
        *(str(postgres_bin() / "initdb"), "--pgdata", str(fresh), "--username", "gistmill"),
        *("--auth", "trust", "--encoding", "UTF8", "--locale", "C"),
    ]
    if user.popen(initdb, signal.SIGKILL, log, alone).wait():
        raise SystemExit("initdb failed")
    fresh.rename(here.postgres_data)


def _forget_the_dead(here: Places) -> None:
    """Remove pid files that name a stranger: PostgreSQL believes any process of that pid."""
    files = [
        here.postgres_data / "postmaster.pid",
        here.sockets / ".s.PGSQL.5432.lock",
    ]
    for file in files:
        if file.exists() and not _runs_here(file, here.postgres_data):
            file.unlink()


def _runs_here(file: Path, data: Path) -> bool:
    pid = file.read_text().partition("\n")[0].strip()
    command = Path("/proc", pid, "cmdline")
    if not Path("/proc/self").exists():
        return True  # no way to know: leave it to PostgreSQL
    return bool(pid) and command.exists() and os.fsencode(data) in command.read_bytes()

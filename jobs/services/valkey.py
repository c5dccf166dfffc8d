"""How the embedded Valkey is configured and started.

It listens on a unix socket alone, asks for a password, and writes all it is told
to an append-only file, so that a message survives a kill.
"""

import os
import secrets
import signal
import subprocess
from pathlib import Path

from jobs import tether
from jobs.services.locks import Lock
from jobs.services.places import Places, valkey_server

_CONFIGURATION = """\
port 0
unixsocket {socket}
unixsocketperm 700
requirepass {password}
appendonly yes
save ""
maxmemory-policy noeviction
daemonize no
"""


def url(here: Places) -> str:
    """As Celery writes it."""
    return f"redis+socket://:{_password(here)}@{_socket(here)}?virtual_host=0"


def start(here: Places, alone: Lock, log: int) -> subprocess.Popen[bytes]:
    """Start the server, which holds on to the lock `alone`."""
    configuration = here.folder / "valkey.conf"
    values = {"socket": _socket(here), "password": _password(here)}
    write_private(configuration, _CONFIGURATION.format(**values))
    # SIGTERM is its clean shutdown. In a session of its own, so that a terminal's Ctrl-C
    # does not reach it before its clients.
    return subprocess.Popen(
        tether.argv([str(valkey_server()), str(configuration)], signal.SIGTERM),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        # Its data lie where it starts: a path in the configuration would have to be quoted.
        cwd=here.valkey_data,
        pass_fds=[alone.descriptor],
        start_new_session=True,
    )


def stop(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGTERM)


def write_private(path: Path, text: str) -> None:
    """Write a file as a whole, readable by its owner alone."""
    partial = path.with_name(f".{path.name}.new")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    partial.replace(path)


def _socket(here: Places) -> Path:
    return here.sockets / "vk.sock"


def _password(here: Places) -> str:
    """The same from start to start: clients that were connected come back with it."""
    here.valkey_data.mkdir(exist_ok=True, mode=0o700)
    kept = here.valkey_data / "password"
    if not kept.exists():
        write_private(kept, secrets.token_hex(24))
    return kept.read_text()

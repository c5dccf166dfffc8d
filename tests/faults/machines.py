"""Several machines in one: network namespaces on a bridge, and servers that listen on it by TCP.

Needs root and `ip` (Debian's iproute2). A machine has its own network, and nothing else of its
own: files, clock and host name are those of this one.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg

from jobs.services.places import postgres_bin, valkey_server
from jobs.settings import Settings
from tests.mill import Mill, eventually

_PASSWORD = "0123abcd"
# PostgreSQL refuses to run as root; in a user namespace of its own it is nobody.
_AS_NOBODY = ["unshare", "--user", "--map-user=65534", "--map-group=65534", "--"]


class Machines:
    """A bridge with this machine on it, at `here`, and others, each at an address of its own."""

    def __init__(self) -> None:
        self._tag = f"gm{os.getpid() % 10_000}"
        self._net = f"10.{100 + os.getpid() % 100}.{os.getpid() % 250}"
        self.here = f"{self._net}.1"
        self.addresses: dict[str, str] = {}

    def add(self, name: str) -> str:
        """Another machine; returns its address."""
        self.addresses[name] = address = f"{self._net}.{10 + len(self.addresses)}"
        inside, outside = self.namespace(name), self._outside(name)
        _ip("netns", "add", inside)
        _ip("link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", inside)
        _ip("link", "set", outside, "master", self._tag, "up")
        _ip("-n", inside, "link", "set", "lo", "up")
        _ip("-n", inside, "address", "add", f"{address}/24", "dev", "eth0")
        _ip("-n", inside, "link", "set", "eth0", "up")
        return address

    def namespace(self, name: str) -> str:
        return f"{self._tag}-{name}"

    def cut_off(self, name: str) -> None:
        """As if its cable were pulled out: nobody is told."""
        _ip("link", "set", self._outside(name), "down")

    def bring_back(self, name: str) -> None:
        _ip("link", "set", self._outside(name), "up")

    def _outside(self, name: str) -> str:
        return f"{self._tag}{name}"

    def __enter__(self) -> "Machines":
        _ip("link", "add", self._tag, "type", "bridge")
        _ip("address", "add", f"{self.here}/24", "dev", self._tag)
        _ip("link", "set", self._tag, "up")
        return self

    def __exit__(self, *_: object) -> None:
        for name in self.addresses:
            _ip("netns", "delete", self.namespace(name))
        _ip("link", "delete", self._tag)


class SpreadMill(Mill):
    """A mill whose processes run on the machine that each is named for."""

    def __init__(self, configured: Settings, logs: Path, machines: Machines) -> None:
        super().__init__(configured, logs)
        self._machines = machines

    def start(
        self, name: str, *words: str, module: str = "gistmill", **more: str
    ) -> subprocess.Popen[bytes]:
        there = ["ip", "netns", "exec", self._machines.namespace(name)]
        with self.log(name).open("ab") as log:
            process = subprocess.Popen(
                [*there, sys.executable, "-P", "-m", module, *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**self.environment(), **more},
                start_new_session=True,
            )
        self._running[name] = process
        return process

    def on(self, name: str, *words: str) -> str:
        """What a command prints that runs there, to its end."""
        there = ["ip", "netns", "exec", self._machines.namespace(name)]
        ended = subprocess.run([*there, *words], capture_output=True, text=True, check=True)
        return ended.stdout


def can_be_made() -> bool:
    """Whether this machine lets us make others."""
    if os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("unshare"):
        return False
    tried = f"gm{os.getpid()}-try"
    made = subprocess.run(["ip", "netns", "add", tried], capture_output=True, check=False)
    if made.returncode == 0:
        _ip("netns", "delete", tried)
    return made.returncode == 0


@contextmanager
def servers(address: str, folder: Path) -> Iterator[tuple[str, str]]:
    """A PostgreSQL and a Valkey of its own at that address; their URLs."""
    with ExitStack() as running:
        database = running.enter_context(_postgres(address, folder))
        broker = running.enter_context(_valkey(address, folder))
        yield database, broker


@contextmanager
def _postgres(address: str, folder: Path) -> Iterator[str]:
    secret, data, port = folder / "password", folder / "data", _free_port(address)
    secret.write_text(_PASSWORD)
    made = [
        *(*_AS_NOBODY, str(postgres_bin() / "initdb"), "--pgdata", str(data)),
        *("--username", "gistmill", "--pwfile", str(secret), "--auth", "scram-sha-256"),
    ]
    subprocess.run(made, capture_output=True, check=True)
    with (data / "pg_hba.conf").open("a") as rules:
        rules.write("host all all samenet scram-sha-256\n")
    options = {
        "listen_addresses": address,
        "port": str(port),
        "unix_socket_directories": "",
        "max_connections": "200",
    }
    command = [*_AS_NOBODY, str(postgres_bin() / "postgres"), "-D", str(data)]
    command += [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    url = f"postgresql://gistmill:{_PASSWORD}@{address}:{port}/postgres"
    with _running(command, folder / "postgres.log"):
        eventually(lambda: _connects(url), "PostgreSQL answers")
        yield url


@contextmanager
def _valkey(address: str, folder: Path) -> Iterator[str]:
    port = _free_port(address)
    command = [
        *(str(valkey_server()), "--bind", address, "--port", str(port), "--dir", str(folder)),
        *("--requirepass", _PASSWORD, "--maxmemory-policy", "noeviction"),
    ]
    with _running(command, folder / "valkey.log"):
        yield f"redis://:{_PASSWORD}@{address}:{port}/0"


@contextmanager
def _running(command: list[str], log: Path) -> Iterator[None]:
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        yield
    finally:
        # By SIGTERM PostgreSQL would wait for its clients, those that are cut off among them.
        process.send_signal(signal.SIGINT)
        process.wait()


def _connects(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _free_port(address: str) -> int:
    with socket.create_server((address, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], capture_output=True, check=True)

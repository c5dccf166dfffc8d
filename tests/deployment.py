"""The services of docker-compose.yml as processes of this machine, by the very commands of their
containers. What differs: programs are those of the wheels, addresses those of the test."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx

from jobs import settings
from jobs.services.places import postgres_bin, valkey_server
from jobs.settings import Settings
from tests import compose
from tests.mill import GISTMILL, PATIENCE

# What docker-compose.yml asks for, see .env.example.
SECRETS = {
    "POSTGRES_PASSWORD": "0123abcd",
    "REDIS_PASSWORD": "4567cdef",
    "GISTMILL_DOCUMENTS": "/srv/documents",
}

# The wheels have no redis-cli: the same question, with the same password.
_PING = """
import os, sys, redis
from redis.backoff import NoBackoff
from redis.retry import Retry
password, once = os.environ["REDISCLI_AUTH"], Retry(NoBackoff(), 0)
redis.Redis(port=int(sys.argv[1]), password=password, retry=once).ping()
"""


class Deployment:
    """Nothing runs in it at first but PostgreSQL, which the test session has."""

    def __init__(self, given: Settings, folder: Path) -> None:
        assert given.database_url
        self.documents = folder / "documents"
        self._messages = folder / "messages"
        self.documents.mkdir()
        self._messages.mkdir()
        self.log = folder / "deployment.log"
        filled = {**SECRETS, "GISTMILL_DOCUMENTS": str(self.documents)}
        self._services = compose.fill_in(compose.read(compose.BASE), filled)["services"]
        database = urlsplit(given.database_url)
        self.sockets = Path(parse_qs(database.query)["host"][0])
        self._port = _free_port()
        self._api_port = _free_port()
        self._addresses = {
            "@postgres:5432/gistmill": f"@{database.path}?{database.query}",
            "@redis:6379/": f"@127.0.0.1:{self._port}/",
            "/srv/uploads": str(folder / "uploads"),
        }
        # Nor may a process fall back on embedded services: a container has none.
        without = {"database_url": None, "broker_url": None, "home": Path(os.devnull)}
        self._given = given.model_copy(update=without)
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, name: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                self._argv(compose.words(self._services[name])),
                env=self._environment(name),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._running.append(process)
        return process

    def run(self, name: str, *words: str) -> str:
        """A service's command, or its entry point with `words`, to its end; what it printed."""
        service = {**self._services[name], **({"command": words} if words else {})}
        ended = self._ended(compose.words(service), name)
        assert ended.returncode == 0, (ended.stdout, ended.stderr)
        return ended.stdout

    def healthy(self, name: str) -> bool:
        kind, *words = self._services[name]["healthcheck"]["test"]
        assert kind == "CMD"
        ended = self._ended(words, name)
        assert ended.returncode == 0 or ended.stdout + ended.stderr, "says nothing"
        return ended.returncode == 0

    def ask(self, path: str, token: str) -> int:
        """The status of the API's answer."""
        url = f"http://127.0.0.1:{self._api_port}{path}"
        return httpx.get(url, headers={"Authorization": f"Bearer {token}"}).status_code

    def stop(self) -> None:
        for process in self._running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _ended(self, words: list[str], name: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._argv(words),
            env=self._environment(name),
            cwd=self._services[name].get("working_dir"),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def _argv(self, words: list[str]) -> list[str]:
        program, *rest = words
        if program == "redis-server":
            here = ["--port", str(self._port), "--bind", "127.0.0.1", "--dir", str(self._messages)]
            return [str(valkey_server()), *rest, *here]
        if program == "redis-cli":
            assert rest == ["-e", "ping"]
            return [sys.executable, "-c", _PING, str(self._port)]
        if program == "pg_isready":
            here = [word.replace("127.0.0.1", str(self.sockets)) for word in rest]
            return [str(postgres_bin() / program), *here]
        if program == "python":
            return [
                sys.executable,
                *(word.replace(":8000/", f":{self._api_port}/") for word in rest),
            ]
        assert program == "gistmill"
        here = ["--port", str(self._api_port)] if rest[0] == "serve" else []
        return [*GISTMILL, *rest, *here]

    def _environment(self, name: str) -> dict[str, str]:
        environment = dict(self._services[name]["environment"])
        for variable, value in environment.items():
            for containers, ours in self._addresses.items():
                environment[variable] = value = value.replace(containers, ours)
        quiet = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        return {**settings.child_environment(self._given, **quiet), **environment}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port

"""`gistmill serve` of a test's mill, as a process of its own, and tokens for it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from jobs.callers import Scope
from jobs.store import tokens
from tests.mill import PATIENCE, Mill, eventually


@dataclass(frozen=True)
class Served:
    """A mill's HTTP side."""

    url: str
    mill: Mill

    def token(self, *scopes: Scope, name: str = "test") -> str:
        """A new token. From then on each request needs one."""
        with self.mill.client() as client, client.database.transaction() as tx:
            return tokens.create(tx, name, scopes)

    def http(self, token: str | None = None) -> httpx.Client:
        """To be closed."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=PATIENCE, trust_env=False)


@contextmanager
def serving(mill: Mill, *words: str, name: str = "serve", **more: str) -> Iterator[Served]:
    """`gistmill serve WORDS` on a free port, for as long as the block lasts; `more` are variables
    for it."""
    process = mill.start(name, "serve", "--port", "0", *words, **more)
    log = mill.log(name)

    def url() -> str | None:
        found = re.search(r"gistmill serves (http://[^\s\"]+)", log.read_text())
        assert process.poll() is None, log.read_text()
        return found and found[1]

    try:
        yield Served(eventually(url, f"{name} listens"), mill)
    finally:
        process.terminate()
        process.wait(PATIENCE)

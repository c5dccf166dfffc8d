"""The Python API: what it takes, what it holds on to, and how it waits."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import finalize

import psycopg
import pytest
from psycopg import sql

import gistmill
from jobs.database import Database
from jobs.errors import DatabaseUnreachable, UsageError
from jobs.services import Endpoints
from producer.client import Client
from producer.job import Job, NobodyWorks
from tests.mill import PATIENCE, Mill, eventually, sentences, wait
from tests.models import tiny_bart


@pytest.fixture
def here(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> Mill:
    """The mill that `gistmill.submit` submits to."""
    for name, value in mill.environment().items():
        monkeypatch.setenv(name, value)
    return mill


@pytest.mark.parametrize("given", ["papers.jsonl", b"x", {"text": "x"}, 3])
def test_one_thing_in_the_place_of_many(here: Mill, given: object) -> None:
    with pytest.raises(UsageError, match=r"give a list of texts, a pathlib\.Path"):
        gistmill.submit(given, model="lead-1")  # type: ignore[arg-type]


def test_one_client_for_all_jobs(here: Mill) -> None:
    """It stays for as long as a job is referred to, or rows of it are read."""
    first, second = (gistmill.submit([text], model="lead-1") for text in sentences(2))
    assert first._client is second._client
    closing = first._client.close
    rows = second.results()
    del first, second
    assert not _is_closed(closing)
    assert list(rows) == []
    del rows
    assert _is_closed(closing)
    again = gistmill.submit(["x"], model="lead-1")
    assert again.status().status == "validating"


def test_a_model_folder_by_its_relative_path(
    here: Mill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_bart(tmp_path / "bart")
    monkeypatch.chdir(tmp_path)
    assert gistmill.submit(["x"], model="./bart").status().model == str(model)


def test_a_database_that_restarts(here: Mill, endpoints: Endpoints) -> None:
    with here.client() as client:
        job = client.submit(sentences(3), model="lead-1")
        watching = here.start("watch", "watch", job.id)
        eventually(lambda: "gistmill up" in here.log("watch").read_text(), "watching")
        hasty = here.settings.timings.model_copy(update={"outage": 0.2})
        with (
            Client(settings=here.settings.model_copy(update={"timings": hasty})) as impatient,
            _outage(endpoints, client.database),
        ):
            eventually(lambda: "waiting for it" in here.log("watch").read_text(), "it waits")
            with (
                pytest.warns(NobodyWorks, match="waiting for it"),
                pytest.raises(DatabaseUnreachable),
            ):
                Job(impatient, job.id).wait()
        job.cancel()
        assert wait(job) == "cancelled"
    assert watching.wait(PATIENCE) == 1
    assert here.log("watch").read_text().count("waiting for it") == 1


def _is_closed(closing: "finalize[Any, Client]") -> bool:
    gc.collect()
    return not closing.alive


@contextmanager
def _outage(endpoints: Endpoints, database: Database) -> Iterator[None]:
    """A database that takes no connection and ends those that it has."""
    name = database.url.database
    assert name
    server = endpoints.database_url.replace("postgresql+psycopg:", "postgresql:")
    words = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    ending = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(words.format(sql.Identifier(name), sql.SQL("false")))
        connection.execute(ending, (name,))
        yield
        connection.execute(words.format(sql.Identifier(name), sql.SQL("true")))

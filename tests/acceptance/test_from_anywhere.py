"""The same API from anywhere: a client of this machine's mill, and one that asks it over HTTP, say
and raise the same."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from producer.client import Client
from producer.job import Job
from tests.mill import Mill, sentences, wait, write_jsonl
from tests.serving import Served, serving

GOOD = {"text": "One. Two.", "id": "a", "summary": "One."}


@pytest.fixture(scope="module")
def served(running: Mill) -> Iterator[Served]:
    with serving(running) as found:
        yield found


@pytest.fixture(scope="module")
def token(served: Served) -> str:
    return served.token("submit", "read", "admin")


@pytest.fixture(params=["here", "over HTTP"])
def client(running: Mill, served: Served, token: str, request: Any) -> Iterator[Client]:
    url = served.url if request.param == "over HTTP" else None
    with Client(url, token if url else None, settings=running.settings) as opened:
        yield opened


Submit = Callable[[Client, Path], Job]


def _texts(client: Client, _: Path) -> Job:
    return client.submit(["One. Two.", "Three. Four."], model="lead-1")


def _mappings(client: Client, _: Path) -> Job:
    return client.submit(
        ({"text": each, "id": 7} for each in ("One. Two.", "Three. Four.")), model="lead-1"
    )


def _many(client: Client, _: Path) -> Job:
    """More than a request has room for."""
    return client.submit(sentences(2500), model="lead-1")


def _file(client: Client, folder: Path) -> Job:
    path = write_jsonl(
        folder / "in.jsonl", [{"body": "One. Two.", "n": 1}, {"body": "Three. Four.", "n": 2}]
    )
    return client.submit(path, model="lead-1", text_column="body")


def _dataset(client: Client, _: Path) -> Job:
    import datasets

    made = datasets.Dataset.from_dict({"text": ["One. Two.", "Three. Four."], "n": [1, 2]})
    return client.submit(made, model="lead-1")


@pytest.mark.parametrize("submit", [_texts, _mappings, _many, _file, _dataset])
def test_whatever_is_submitted(client: Client, tmp_path: Path, submit: Submit) -> None:
    job = submit(client, tmp_path)
    assert job.new
    assert wait(job) == "completed"
    rows = list(job.results())
    status = job.status()
    assert len(rows) == status.counts.total == status.counts.completed
    assert [row["index"] for row in rows] == list(range(len(rows)))
    assert rows[0]["summary"] in ("One.", "Document 0 begins.")
    assert client.job(job.id[:-2]).id == job.id

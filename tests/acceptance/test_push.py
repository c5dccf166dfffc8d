"""A join pushed to a hub on loopback by the real client, and read from there by the real datasets.

Clients are processes of their own: huggingface_hub reads its environment when it is imported.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from tests import hub, hub_data
from tests.mill import GISTMILL, Mill, wait, write_jsonl

ROWS: list[dict[str, Any]] = [
    {"doc": "One. Two. Three.", "summary": "One two three.", "year": 2000},
    {"doc": "Uno. Due. Tre.", "summary": "Uno.", "year": None},
    {"doc": ""},
]
COLUMNS = ["doc", "summary", "year", "generated_summary", "generated_summary_error"]
SUMMARIES = ["One.", "Uno.", None]

# Each request is a line of JSON: a repository, and what `push_to_hub` is given.
PUSHES = """
import json, os, sys
from jobs.errors import GistmillError
from producer import push
from producer.client import Client

with Client() as client:
    for line in sys.argv[2:]:
        asked = json.loads(line)
        os.environ["HF_TOKEN"] = asked.pop("token", os.environ["HF_TOKEN"])
        push._PART_BYTES = asked.pop("part", 10**6)
        push.formats._ROW_GROUP = 1
        try:
            pushed = client.job(sys.argv[1]).push_to_hub(**asked)
            print(json.dumps([pushed.commit, pushed.rows]))
        except GistmillError as error:
            print(json.dumps([type(error).__name__, str(error)]))
"""
LOADS = """
import json, sys, datasets
for name in sys.argv[1:]:
    found = datasets.load_dataset(name, token=True)
    print(json.dumps({split: found[split].to_dict() for split in found}))
"""


@dataclass
class Hub:
    url: str
    uploads: hub.Uploads
    mill: Mill
    home: Path

    def run(self, *words: str, token: str | None = hub.TOKEN, code: int = 0) -> tuple[str, str]:
        """What a client process wrote to standard output and standard error."""
        environment = {**self.mill.environment(), **hub.environment(self.url, self.home)}
        environment |= {"HF_TOKEN": token} if token else {}
        ended = subprocess.run(
            words, env=environment, capture_output=True, text=True, timeout=100, check=False
        )
        assert ended.returncode == code, (ended.returncode, ended.stdout, ended.stderr)
        return ended.stdout, ended.stderr

    def python(self, program: str, *words: str) -> list[Any]:
        said, _ = self.run(sys.executable, "-P", "-c", program, *words)
        return [json.loads(line) for line in said.splitlines()]

    def push(self, job_id: str, *asked: dict[str, Any]) -> list[Any]:
        return self.python(PUSHES, job_id, *map(json.dumps, asked))

    def files(self, name: str) -> list[str]:
        main = self._main(name)
        return sorted(str(p.relative_to(main)) for p in main.rglob("*") if p.is_file())

    def card(self, name: str) -> str:
        return (self._main(name) / "README.md").read_text()

    def commit(self, name: str) -> str:
        return hub.commit(self._main(name))

    def _main(self, name: str) -> Path:
        history = self.uploads.repositories[f"datasets/{name}"]
        assert isinstance(history, hub.History)
        return history.main


@pytest.fixture
def here(running: Mill, tmp_path: Path) -> Iterator[Hub]:
    uploads = hub.Uploads(tmp_path / "pushed", hub.TOKEN)
    with hub.serve(uploads.repositories, said=uploads.said, uploads=uploads) as url:
        yield Hub(url, uploads, running, tmp_path / "hf")


@pytest.fixture
def job_id(running: Mill, tmp_path: Path) -> str:
    path = write_jsonl(tmp_path / "papers.jsonl", ROWS)
    with running.client() as client:
        job = client.submit(path, model="lead-1", text_column="doc", reference_column="summary")
        assert wait(job) == "completed"
        return job.id


def test_pushed_and_read_again(here: Hub, job_id: str) -> None:
    words = [*GISTMILL, "results", job_id, "--push-to-hub", "me/papers", "--private"]
    said, hints = here.run(*words)
    assert said == f"{here.url}/datasets/me/papers\n"
    assert f"3 rows at commit {here.commit('me/papers')}" in hints
    assert hints.count("\n") == 2
    assert here.uploads.said["datasets/me/papers"] == {"private": True}
    assert here.files("me/papers") == [".gitattributes", "README.md", "data/train-00000.parquet"]
    [found] = here.python(LOADS, "me/papers")
    assert list(found["train"]) == COLUMNS
    assert found["train"]["doc"] == [row["doc"] for row in ROWS]
    assert found["train"]["generated_summary"] == SUMMARIES
    assert found["train"]["year"] == [2000, None, None]
    card = here.card("me/papers")
    assert "| failed | 1 |" in card
    assert "ROUGE of 2 summaries" in card
    assert "| lead-3 (the first sentences) | " in card
    assert str(here.mill.settings.home) not in card
    assert here.run(*words)[1].endswith(f"{here.commit('me/papers')}, as it was\n")
    assert not [*(here.mill.settings.home / "results").iterdir()]


def test_pushed_again(here: Hub, job_id: str) -> None:
    """In one commit each, and nothing of the one before is left."""
    first, same, second = here.push(
        job_id,
        {"repository": "me/papers", "part": 5},
        {"repository": "me/papers", "part": 5},
        {"repository": "me/papers", "summary_column": "short"},
    )
    assert first == same
    assert second == [here.commit("me/papers"), 3]
    assert second != first
    assert here.files("me/papers") == [".gitattributes", "README.md", "data/train-00000.parquet"]
    history = here.uploads.repositories["datasets/me/papers"]
    assert isinstance(history, hub.History)
    before = history.at(first[0])
    assert before
    parts = sorted(part.name for part in (before / "data").iterdir())
    assert parts == [f"train-{number:05d}.parquet" for number in range(3)]
    found = pyarrow.parquet.read_table(history.main / "data/train-00000.parquet")
    assert found["short"].to_pylist() == SUMMARIES


def test_a_dataset_of_the_hub(mill: Mill, tmp_path: Path) -> None:
    """Its license and its commit are on the card, and its split is that of what is pushed."""
    source = tmp_path / "source"
    hub_data.parquet(source / "data/test-00000-of-00001.parquet", hub_data.rows(5))
    hub_data.card(source, "license: mit\nlanguage: [en]\n")
    uploads = hub.Uploads(tmp_path / "pushed", hub.TOKEN)
    uploads.repositories["datasets/o/papers"] = source
    with hub.serve(uploads.repositories, said=uploads.said, uploads=uploads) as url:
        there = Hub(url, uploads, mill, tmp_path / "hf")
        mill.dispatcher()
        mill.worker(**hub.environment(url, tmp_path / "of-worker"))
        submit = [*GISTMILL, "submit", "o/papers", "--split", "test[:4]", "--model", "lead-1", "-q"]
        job_id = there.run(*submit)[0].strip()
        with mill.client() as client:
            assert wait(client.job(job_id)) == "completed"
        there.run(*GISTMILL, "results", job_id, "--push-to-hub", "me/papers")
        [found] = there.python(LOADS, "me/papers")
    written = there.card("me/papers")
    assert "license: mit\n" in written
    assert "source_datasets:\n- o/papers\n" in written
    assert f"split `test[:4]`, at commit `{hub.commit(source)}`" in written
    assert found["test"]["summary"] == [row["summary"] for row in hub_data.rows(4)]
    assert found["test"]["generated_summary"] == [f"Document {n} begins." for n in range(4)]


def test_what_a_push_leaves_alone(here: Hub, job_id: str, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "README.md").write_text("---\ntags: [mine]\n---\n# By hand\n")
    here.uploads.repositories["datasets/me/theirs"] = hub.History(theirs)
    refused = here.push(
        job_id,
        {"repository": "me/theirs"},
        {"repository": "me/theirs", "private": True},
        {"repository": "you/papers"},
        {"repository": "papers"},
        {"repository": "me/pa pers"},
        {"repository": "me/papers", "summary_column": "year"},
    )
    kinds = [kind for kind, _ in refused]
    assert kinds == ["NotAllowed"] * 3 + ["UsageError"] * 3
    for (_, message), says in zip(
        refused,
        (
            "holds something else",
            "is there already, and public",
            "may not write there",
            "ORG/papers",
            "me/pa pers",
            "--summary-column",
        ),
        strict=True,
    ):
        assert says in message
        assert "\n" not in message
    assert here.files("me/theirs") == ["README.md"]
    assert list(here.uploads.repositories) == ["datasets/me/theirs"]


def test_tokens(here: Hub, job_id: str) -> None:
    words = [*GISTMILL, "results", job_id, "--push-to-hub", "me/papers"]
    _, hints = here.run(*words, token=None, code=4)
    assert "set HF_TOKEN" in hints
    assert hints.count("\n") == 1
    papers = {"repository": "me/papers"}
    unknown, reader = here.push(
        job_id, {**papers, "token": "hf_unknown"}, {**papers, "token": "hf_that_reads"}
    )
    assert unknown[0] == reader[0] == "NotAllowed"
    assert "does not take this HF_TOKEN" in unknown[1]
    assert "may not write there" in reader[1]

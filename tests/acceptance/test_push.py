"""A join pushed to a hub on loopback by the real client, and read from there by the real datasets.

The client is a process of its own: huggingface_hub reads its environment when it is imported.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from jobs.services import Endpoints
from tests import hub, hub_data
from tests.conftest import mill_of_its_own
from tests.front_door import Door, door
from tests.mill import Mill, wait, write_jsonl

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
from unittest.mock import patch
from jobs.errors import GistmillError
from producer import push
from producer.client import Client

with Client() as client:
    for line in sys.argv[2:]:
        asked = json.loads(line)
        token = asked.pop("token", os.environ["HF_TOKEN"])
        with (
            patch.dict(os.environ, HF_TOKEN=token),
            patch.object(push, "_PART_BYTES", asked.pop("part", 10**6)),
            patch.object(push.formats, "_ROW_GROUP", 1),
        ):
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
    door: Door

    def say(self, *words: str, token: str | None = hub.TOKEN, code: int = 0) -> tuple[str, str]:
        """What `gistmill WORDS` wrote to standard output and standard error."""
        ended = self.door.say(*words, **({"HF_TOKEN": token} if token else {}))
        assert ended.code == code, ended
        return ended.stdout, ended.stderr

    def python(self, program: str, *words: str) -> list[Any]:
        ended = self.door.run(program, *words, HF_TOKEN=hub.TOKEN)
        assert ended.code is None, ended
        return [json.loads(line) for line in ended.stdout.splitlines()]

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


@pytest.fixture(scope="module")
def here(
    endpoints: Endpoints, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hub]:
    """A hub, and a mill whose worker knows it."""
    folder = tmp_path_factory.mktemp("mill")
    uploads = hub.Uploads(folder / "pushed", hub.TOKEN)
    with (
        hub.serve(uploads.repositories, said=uploads.said, uploads=uploads) as url,
        mill_of_its_own(endpoints, migrated, folder) as configured,
    ):
        mill = Mill(configured, folder)
        mill.dispatcher()
        mill.worker(**hub.environment(url, folder / "of-worker"))
        environment = {**mill.environment(), **hub.environment(url, folder / "hf")}
        with door(environment) as opened:
            yield Hub(url, uploads, mill, opened)
        mill.stop()
        print(mill.logs())


@pytest.fixture(scope="module")
def job_id(here: Hub, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = write_jsonl(tmp_path_factory.mktemp("given") / "papers.jsonl", ROWS)
    with here.mill.client() as client:
        job = client.submit(path, model="lead-1", text_column="doc", reference_column="summary")
        assert wait(job) == "completed"
        return job.id


def test_pushed_and_read_again(here: Hub, job_id: str) -> None:
    words = ["results", job_id, "--push-to-hub", "me/papers", "--private"]
    said, hints = here.say(*words)
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
    assert here.say(*words)[1].endswith(f"{here.commit('me/papers')}, as it was\n")
    assert not [*(here.mill.settings.home / "results").iterdir()]


def test_pushed_again(here: Hub, job_id: str) -> None:
    """In one commit each, and nothing of the one before is left."""
    first, same, second = here.push(
        job_id,
        {"repository": "me/again", "part": 5},
        {"repository": "me/again", "part": 5},
        {"repository": "me/again", "summary_column": "short"},
    )
    assert first == same
    assert second == [here.commit("me/again"), 3]
    assert second != first
    assert here.files("me/again") == [".gitattributes", "README.md", "data/train-00000.parquet"]
    history = here.uploads.repositories["datasets/me/again"]
    assert isinstance(history, hub.History)
    before = history.at(first[0])
    assert before
    parts = sorted(part.name for part in (before / "data").iterdir())
    assert parts == [f"train-{number:05d}.parquet" for number in range(3)]
    found = pyarrow.parquet.read_table(history.main / "data/train-00000.parquet")
    assert found["short"].to_pylist() == SUMMARIES


def test_a_dataset_of_the_hub(here: Hub, tmp_path: Path) -> None:
    """Its license and its commit are on the card, and its split is that of what is pushed."""
    source = tmp_path / "source"
    hub_data.parquet(source / "data/test-00000-of-00001.parquet", hub_data.rows(5))
    hub_data.card(source, "license: mit\nlanguage: [en]\n")
    here.uploads.repositories["datasets/o/papers"] = source
    submit = ["submit", "o/papers", "--split", "test[:4]", "--model", "lead-1", "-q", "--wait"]
    job_id = here.say(*submit)[0].strip()
    tried = here.say(*submit[:-2], "--dry-run")[0]
    assert f"dataset o/papers at commit {hub.commit(source)}\n" in tried
    here.say("results", job_id, "--push-to-hub", "me/of-papers")
    [found] = here.python(LOADS, "me/of-papers")
    written = here.card("me/of-papers")
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
        {"repository": "me/mine", "summary_column": "year"},
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
    assert "datasets/you/papers" not in here.uploads.repositories


def test_tokens(here: Hub, job_id: str) -> None:
    words = ["results", job_id, "--push-to-hub", "me/papers"]
    _, hints = here.say(*words, token=None, code=4)
    assert "set HF_TOKEN" in hints
    assert hints.count("\n") == 1
    papers = {"repository": "me/papers"}
    unknown, reader = here.push(
        job_id, {**papers, "token": "hf_unknown"}, {**papers, "token": "hf_that_reads"}
    )
    assert unknown[0] == reader[0] == "NotAllowed"
    assert "does not take this HF_TOKEN" in unknown[1]
    assert "may not write there" in reader[1]

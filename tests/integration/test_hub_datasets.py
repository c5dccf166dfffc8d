"""Datasets of a hub as sources: a stub on loopback, its real clients in processes of their own."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import hub
from tests.hub import History, Request
from tests.hub_client import Asker, Case, ask, asker
from tests.hub_data import card, jsonl, parquet, rows, text


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path | History]:
    made = tmp_path_factory.mktemp("repositories")
    plain = made / "plain"
    parquet(plain / "data/train-00000-of-00002.parquet", rows(7))
    parquet(plain / "data/train-00001-of-00002.parquet", rows(4, begin=7))
    parquet(plain / "data/test-00000-of-00001.parquet", rows(3, begin=11))
    lines = made / "lines"
    card(
        lines,
        "configs:\n- config_name: one\n  data_files:\n  - split: train\n    path: a.jsonl\n"
        "  - split: test\n    path: b.jsonl\n- config_name: two\n  data_files: b.jsonl\n",
    )
    jsonl(lines / "a.jsonl", rows(5))
    jsonl(lines / "b.jsonl", rows(3, begin=5))
    script, lost, converted = made / "script", made / "lost", made / "converted"
    card(script, "license: mit\n")
    for folder in (script, lost):
        text(folder / f"{folder.name}.py", "raise SystemExit('it was run')\n")
    parquet(converted / "default/validation/0000.parquet", rows(2))
    parquet(converted / "default/partial-train/0000.parquet", rows(2))
    array = made / "array"
    text(array / "train.json", json.dumps(rows(2)))
    of_array = made / "of_array"
    parquet(of_array / "default/train/0000.parquet", rows(2))
    return {
        "datasets/o/plain": plain,
        "datasets/o/lines": lines,
        "datasets/o/script": History(script, converted=converted, tags={"v1": plain}),
        "datasets/o/lost": lost,
        "datasets/o/array": History(array, converted=of_array),
        "datasets/o/closed": plain,
        "datasets/o/private": plain,
        "datasets/o/big": plain,
        "datasets/o/big-lines": lines,
    }


@pytest.fixture(scope="module")
def answered() -> list[Request]:
    return []


@pytest.fixture(scope="module")
def url(folders: dict[str, Path | History], answered: list[Request]) -> Iterator[str]:
    said: dict[str, dict[str, Any]] = {
        "datasets/o/closed": {"gated": "manual"},
        "datasets/o/private": {"private": True},
    }
    moved = {"datasets/plain": "datasets/o/plain"}
    with hub.serve(folders, said, moved=moved, answered=answered) as url:
        yield url


def texts(begin: int, end: int) -> list[str]:
    return [row["document"] for row in rows(end - begin, begin)]


@dataclass(frozen=True)
class Both:
    """Who submits and who works, each with a cache of its own."""

    submitter: Asker
    worker: Asker

    def ask(self, *cases: Case) -> list[dict[str, Any]]:
        submitted = self.submitter.ask(*cases)
        assert all("source" in each for each in submitted), submitted
        read = self.worker.ask(*submitted)
        return [{**one, **two} for one, two in zip(submitted, read, strict=True)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("homes")


@pytest.fixture(scope="module")
def both(url: str, home: Path) -> Iterator[Both]:
    a_token_counts = {"HF_HUB_DISABLE_IMPLICIT_TOKEN": "0"}
    with (
        asker(url, home / "submits", **a_token_counts) as submitter,
        asker(url, home / "works", **a_token_counts) as worker,
    ):
        yield Both(submitter, worker)


PLAIN: Case = {"location": "o/plain"}
LINES: Case = {"location": "o/lines", "config": "one"}
TEST: Case = {"split": "test"}
READ: list[tuple[Case, int, int]] = [
    ({**PLAIN, "split": "train"}, 0, 11),
    ({**PLAIN, "split": "test"}, 11, 14),
    ({**PLAIN, "split": "train[:25%]"}, 0, 3),
    ({**PLAIN, "split": "train[5:9]"}, 5, 9),
    ({**PLAIN, "split": "train[-2:]"}, 9, 11),
    ({**PLAIN, "split": "train+test"}, 0, 14),
    ({**PLAIN, "split": "train[50%:]+test[:1]"}, 6, 12),
    ({**LINES, "split": "train"}, 0, 5),
    ({**LINES, "split": "train[1:-1]"}, 1, 4),
    ({**LINES, "split": "train+test"}, 0, 8),
    ({"location": "plain", **TEST}, 11, 14),
    ({"location": "o/plain@main", **TEST}, 11, 14),
    ({"location": "https://huggingface.co/datasets/o/plain", **TEST}, 11, 14),
    ({"location": "hf://datasets/o/plain/data/test-00000-of-00001.parquet"}, 11, 14),
    ({"location": "hf://datasets/o/plain@main/data/te*.parquet"}, 11, 14),
    ({"location": "hf://datasets/o/lines/b.jsonl", "allowed": ["hf://datasets/o/"]}, 5, 8),
    ({"location": "o/script", "revision": "v1", **TEST}, 11, 14),
]
CONVERTED: list[tuple[Case, int, int]] = [
    ({"location": "o/script", "split": "validation"}, 0, 2),
    ({"location": "o/script", "split": "partial-train"}, 0, 2),
    ({"location": "o/script@refs/convert/parquet", "split": "validation"}, 0, 2),
    ({"location": "o/array"}, 0, 2),
]


def test_what_is_read(both: Both, folders: dict[str, Any]) -> None:
    wanted = READ + CONVERTED
    found = both.ask(*(case for case, _, _ in wanted))
    for (case, begin, end), each in zip(wanted, found, strict=True):
        assert each["texts"] == texts(begin, end), case
    source = found[0]["source"]
    stored = {name: source[name] for name in ("kind", "dataset", "config", "split", "files")}
    assert stored == {
        "kind": "parquet",
        "dataset": "o/plain",
        "config": "default",
        "split": "train",
        "files": 2,
    }
    assert source["columns"] == {"text": "document", "id": "id", "reference": "summary"}
    assert source["commit"] == hub.commit(folders["datasets/o/plain"])
    assert found[10]["source"]["dataset"] == "o/plain"
    assert [each["source"].get("converted") for each in found] == [None] * 17 + [True] * 4
    script = folders["datasets/o/script"]
    assert found[17]["source"]["commit"] == hub.commit(script.converted)


def test_planning_reads_no_data_of_parquet(
    both: Both, answered: list[Request], folders: dict[str, Any], tmp_path: Path
) -> None:
    large = parquet(tmp_path / "large/train-00000.parquet", rows(30_000), row_group_size=1000)
    folders["datasets/o/large"] = large.parent
    del answered[:]
    [found] = both.submitter.ask({"location": "o/large", "split": "train[-10%:]"})
    assert found["shards"][-1][1] == 3000
    sent = sum(each.sent for each in answered if each.path.endswith(".parquet"))
    assert 0 < sent < large.stat().st_size / 4


def test_a_card_leads_nowhere_else(
    both: Both, answered: list[Request], folders: dict[str, Any], tmp_path: Path, url: str
) -> None:
    here = jsonl(tmp_path / "here/train.jsonl", rows(2))
    places = (f"{url}/inner/a.jsonl", str(here), "hf://datasets/o/private/**", "../../o/lines/*")
    for number, place in enumerate(places):
        folder = tmp_path / str(number)
        split = f"  - split: train\n    path: {place}\n"
        card(folder, f"configs:\n- config_name: default\n  data_files:\n{split}")
        jsonl(folder / "train.jsonl", rows(1))
        folders[f"datasets/o/astray{number}"] = folder
    cases: list[Case] = [{"location": f"o/astray{number}"} for number in range(len(places))]
    for place, found in zip(places, both.submitter.ask(*cases), strict=True):
        assert found["error"][0] == "NotFound"
        assert f"names files that are not in it ({place})" in found["error"][1]
    assert not [each for each in answered if "inner" in each.path]


ERRORS: list[tuple[Case, str, str]] = [
    ({"location": "o/plain"}, "UsageError", "choose one with --split: train, test"),
    ({"location": "o/plain", "split": "tran"}, "UsageError", "did you mean train?"),
    ({"location": "o/plain", "split": "train[:x]"}, "UsageError", "write train, train[:10%]"),
    ({"location": "o/plain", "split": "train[:1]+test"}, "UsageError", "a job for each"),
    ({"location": "o/lines"}, "UsageError", "choose one with --config: one, two"),
    ({"location": "o/lines", "config": "tow"}, "UsageError", "it has one, two; did you mean two?"),
    ({"location": "o/plain", "revision": "v9"}, "NotFound", "does not have this revision"),
    ({"location": "o/plain@v1", "revision": "v2"}, "UsageError", "name one of them"),
    ({"location": "o/nothing"}, "NotFound", "no file o/nothing here; as a dataset: o/nothing: not"),
    ({"location": "hf://datasets/o/nothing"}, "NotFound", "o/nothing: not on the hub"),
    ({"location": "hf://datasets/o/plain/no*"}, "NotFound", "no such file in this dataset"),
    ({"location": "hf://datasets/o/plain/data", "split": "test"}, "UsageError", "taken whole"),
    ({"location": "o/script", "split": "train"}, "UsageError", "--split partial-train takes that"),
    ({"location": "o/lost"}, "NotFound", "has a loading script, and none is run, and the hub has"),
    ({"location": "o/closed"}, "NotAllowed", "is gated; accept its terms"),
    ({"location": "o/private"}, "NotFound", "private and HF_TOKEN does not open it"),
    ({"location": "o/plain", "allowed": ["/data"]}, "NotAllowed", "hf://datasets/o/plain"),
    ({"location": "o/plain", "allowed": []}, "NotAllowed", "hf://datasets/o/plain"),
    ({"location": "data/train.jsonl"}, "NotFound", "data/train.jsonl: No such file"),
]


def test_what_can_not_be_submitted(both: Both) -> None:
    for (case, kind, says), found in zip(
        ERRORS, both.submitter.ask(*(case for case, _, _ in ERRORS)), strict=True
    ):
        assert "error" in found, (case, found)
        name, message = found["error"]
        assert (name, says in message, "\n" in message) == (kind, True, False), (case, found)


def test_who_has_the_token(both: Both) -> None:
    cases = [
        {"location": f"o/{name}", "split": "test", "token": hub.TOKEN}
        for name in ("closed", "private")
    ]
    found = both.submitter.ask(*cases)
    for refused in both.worker.ask(*found):
        name, code, message = refused["error"]
        assert (name, code, "HF_TOKEN" in message) == ("JobError", "source_unreadable", True)
    read = both.worker.ask(*({**each, "token": hub.TOKEN} for each in found))
    assert [each["texts"] for each in read] == [texts(11, 14)] * 2


def test_a_pinned_commit_while_main_moves_on(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    jsonl(before / "train.jsonl", rows(3))
    jsonl(after / "train.jsonl", rows(3, begin=50))
    history = History(before)
    with (
        hub.serve({"datasets/o/n": history}) as url,
        asker(url, tmp_path / "submits") as submitter,
    ):
        [found] = submitter.ask({"location": "o/n"})
        history.moves_on(after)
        cases = [{"location": "o/n"}, {"location": "o/n", "revision": found["source"]["commit"]}]
        again = submitter.ask(*cases)
        [read] = ask(url, tmp_path / "works", found)
    assert read["texts"] == texts(0, 3)
    commits = [each["source"]["commit"] for each in again]
    assert commits == [hub.commit(after), hub.commit(before)]


def test_the_hub_away(tmp_path: Path) -> None:
    jsonl(tmp_path / "lines/train.jsonl", rows(3))
    parquet(tmp_path / "columns/train.parquet", rows(3))
    served = {f"datasets/o/{name}": tmp_path / name for name in ("lines", "columns")}
    here = {"location": "o/lines"}
    with hub.serve(served) as url:
        [*found] = ask(url, tmp_path / "submits", here, {"location": "o/columns"})
        with asker(url, tmp_path / "works") as worker:
            cached = [{**one, **two} for one, two in zip(found, worker.ask(*found), strict=True)]
    unknown = {**cached[0], "source": {**cached[0]["source"], "dataset": "o/other"}}
    away = ask(url, tmp_path / "works", here, unknown, *cached)
    assert away[0]["error"][0] == "Unreachable"
    assert away[1]["error"][:2] == ["TransientError", "hub_unreachable"]
    offline = ask(url, tmp_path / "works", unknown, *cached, HF_HUB_OFFLINE="1")
    assert offline[0]["error"][:2] == ["JobError", "source_unreadable"]
    # What is in the cache needs no network.
    assert [each["texts"] for each in away[2:] + offline[1:]] == [texts(0, 3)] * 4
    with hub.serve({}, refusal=(429, {"Retry-After": "0"})) as busy:
        [limited] = ask(busy, tmp_path / "works", here)
    assert limited["error"][0] == "Unreachable"


def test_files_too_large_for_the_cache(both: Both, home: Path) -> None:
    cases = [{"location": "o/big", "split": "train"}, {"location": "o/big-lines", "config": "two"}]
    found = both.submitter.ask(*({**case, "largest": 100} for case in cases))
    read = both.worker.ask(*({**each, "largest": 100} for each in found))
    assert [each["texts"] for each in read] == [texts(0, 11), texts(5, 8)]
    kept = [path for path in home.rglob("*--o--big*/**/*") if path.suffix in (".parquet", ".jsonl")]
    assert not kept

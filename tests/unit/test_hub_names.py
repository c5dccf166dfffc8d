"""Which locations mean a dataset of the hub, and what slices of its splits mean."""

from pathlib import Path

import pytest
from datasets import ReadInstruction
from hypothesis import given
from hypothesis import strategies as st

from jobs.allowed_sources import Allowed
from jobs.errors import UsageError
from jobs.sources.hub import splits
from jobs.sources.hub.configs import is_json_lines
from jobs.sources.hub.converted import REVISION as CONVERTED
from jobs.sources.hub.names import Named, named
from jobs.sources.hub.splits import Range
from producer.given import location_of

ANYWHERE = Allowed(None)


@pytest.mark.parametrize(
    ("location", "meant"),
    [
        ("EdinburghNLP/xsum", Named("EdinburghNLP/xsum")),
        ("EdinburghNLP/xsum@refs/convert/parquet", Named("EdinburghNLP/xsum", CONVERTED)),
        ("allenai/c4-v1.0", Named("allenai/c4-v1.0")),
        ("xsum", Named("xsum")),
        ("xsum@v1", Named("xsum", "v1")),
        ("hf://datasets/o/n", Named("o/n")),
        ("hf://datasets/o/n@v1/data/*.parquet", Named("o/n", "v1", "data/*.parquet")),
        ("hf://datasets/o/n@refs%2Fpr%2F1/a.csv", Named("o/n", "refs/pr/1", "a.csv")),
        ("https://huggingface.co/datasets/o/n", Named("o/n")),
        ("https://huggingface.co/datasets/o/n/blob/main/a.csv", Named("o/n", "main", "a.csv")),
        ("data/train.jsonl", None),
        ("data/train.jsonl.gz", None),
        ("data/notes.txt", None),
        ("papers.pdf", None),
        ("./o/n", None),
        ("/o/n", None),
        ("~/n", None),
        ("a/b/c", None),
        ("data/*", None),
        ("s3://bucket/n", None),
        ("https://example.org/datasets/o/n", None),
    ],
)
def test_locations(location: str, meant: Named | None) -> None:
    assert named(location, ANYWHERE) == meant


def test_what_is_here_is_no_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "o" / "n").mkdir(parents=True)
    assert named("o/n", ANYWHERE) is None
    assert named("hf://datasets/o/n", ANYWHERE) == Named("o/n")
    # Nobody learns what lies where they may not read.
    assert named("o/n", Allowed(("hf://datasets/",))) == Named("o/n")


@pytest.mark.parametrize("url", ["hf://o/model", "hf://spaces/o/n", "hf://datasets/", "hf://"])
def test_urls_of_the_hub_that_are_no_dataset(url: str) -> None:
    with pytest.raises(UsageError, match="write hf://datasets/ORG/NAME"):
        named(url, ANYWHERE)


def nobody(split: str) -> int:
    raise AssertionError(f"{split} was counted")


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        ("train", [Range("train")]),
        ("train[100:200]", [Range("train", 100, 200)]),
        ("train[:10]", [Range("train", 0, 10)]),
        ("train[7:]", [Range("train", 7)]),
        ("train + test", [Range("train"), Range("test")]),
        ("train[:5]+test[5:]", [Range("train", 0, 5), Range("test", 5)]),
    ],
)
def test_slices_that_need_no_count(text: str, ranges: list[Range]) -> None:
    assert splits.ranges(text, nobody) == ranges
    assert splits.names(text) == [each.split for each in ranges]


@pytest.mark.parametrize("text", ["train[:10", "train[10]", "train[:101%]", "train[a:b]"])
def test_slices_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match=r"write train, train\[:10%\]"):
        splits.ranges(text, lambda split: 100)


@given(
    rows=st.integers(0, 1000),
    first=st.none() | st.integers(-100, 100),
    last=st.none() | st.integers(-100, 100),
    unit=st.sampled_from(["", "%"]),
)
def test_slices_are_what_they_are_to_datasets(
    rows: int, first: int | None, last: int | None, unit: str
) -> None:
    def bound(value: int | None) -> str:
        return "" if value is None else f"{value}{unit}"

    text = f"train[{bound(first)}:{bound(last)}]"
    [theirs] = ReadInstruction.from_spec(text).to_absolute({"train": rows})
    [ours] = splits.ranges(text, lambda split: rows)
    of_ours = range(rows)[ours.first : ours.last]
    assert of_ours == range(rows)[theirs.from_ : theirs.to]


@pytest.mark.parametrize(
    ("head", "lines"),
    [
        (b'{"text": "a"}\n{"text": "b"}\n', True),
        (b'\n  {"text": "a"}', True),
        (b'{"text": "' + b"a" * 70_000, True),
        (b"", True),
        (b'[{"text": "a"}]', False),
        (b'[\n{"text": "a"}\n]', False),
        (b'{\n"text": "a"\n}', False),
        (b'{"data": [', False),
    ],
)
def test_json_lines(head: bytes, lines: bool) -> None:
    assert is_json_lines(head) == lines


@pytest.mark.parametrize(
    ("documents", "of_dataset", "location"),
    [
        ("o/n", False, "o/n"),
        ("o/n@v1", False, "o/n@v1"),
        ("hf://datasets/o/n", False, "hf://datasets/o/n"),
        ("s3://bucket/a.csv", False, "s3://bucket/a.csv"),
        ("xsum", True, "xsum"),
        (Path("/data/o/n"), False, "/data/o/n"),
        ("A text. It could be one.", False, None),
        ("either/or", True, "either/or"),
        ("xsum", False, None),
        ("papers.jsonl", False, None),
        (["o/n"], True, None),
    ],
)
def test_what_is_a_location_from_python(
    documents: object, of_dataset: bool, location: str | None
) -> None:
    assert location_of(documents, of_dataset=of_dataset) == location

"""Datasets from Python as files: where they lie, else written once."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import datasets
import pytest

from jobs.columns import Asked
from jobs.errors import UsageError
from jobs.sources import asked as asked_of_sources
from jobs.sources import describe
from producer import copies
from tests import reading

ROWS: list[dict[str, Any]] = [{"id": n, "text": f"Text {n}."} for n in range(2500)]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "home"
    with copies.using(place):
        yield place


@pytest.fixture(scope="module")
def lying(tmp_path_factory: pytest.TempPathFactory) -> datasets.Dataset:
    """In two files on disk."""
    place = tmp_path_factory.mktemp("saved")
    datasets.Dataset.from_list(ROWS).save_to_disk(place, num_shards=2)
    return datasets.load_from_disk(place)


def texts(location: Path) -> list[str | None]:
    asked = asked_of_sources.Asked(Asked(), format="arrow")
    found = describe(str(location), asked, reading.ANYWHERE)
    shards = reading.planned(found, 300)
    with closing(reading.worker()) as opened:
        read = [opened.read(reading.extent(found.source, shard)) for shard in shards]
    return [document.text for part in read for document in part]


def files(location: Path) -> list[Path]:
    return [location] if location.is_file() else sorted(location.iterdir())


def generated() -> Iterator[dict[str, Any]]:
    yield from ROWS


def test_rows_are_read_where_they_lie(folder: Path, lying: datasets.Dataset) -> None:
    found = copies.as_files(lying, folder)
    assert [str(path.resolve()) for path in files(found)] == [
        str(Path(each["filename"]).resolve()) for each in lying.cache_files
    ]
    assert texts(found) == lying["text"][:]
    one = datasets.Dataset.from_file(lying.cache_files[1]["filename"])
    assert copies.as_files(one, folder) == Path(lying.cache_files[1]["filename"])


@pytest.mark.parametrize(
    "change",
    [
        lambda whole: whole.select(range(7, 1900)),
        lambda whole: whole.select([5, 3, 2400]),
        lambda whole: whole.shuffle(seed=1),
        lambda whole: whole.remove_columns("id"),
        lambda whole: whole.add_column("more", ["x"] * len(whole)),
        lambda whole: whole.rename_column("id", "key"),
        lambda whole: whole.map(lambda row: {"text": row["text"] + "!"}, keep_in_memory=True),
        lambda whole: whole.with_transform(lambda rows: {"text": [t + "?" for t in rows["text"]]}),
        lambda whole: datasets.concatenate_datasets([whole.select(range(9)), whole]),
        lambda whole: datasets.Dataset.from_list(ROWS[:9]),
    ],
)
def test_what_was_changed_is_written_once(
    folder: Path, lying: datasets.Dataset, change: Any
) -> None:
    changed = change(lying)
    found = copies.as_files(changed, folder)
    assert found.parent == folder
    assert not any(path.is_symlink() for path in files(found))
    assert texts(found) == [row["text"] for row in changed]
    written = files(found)[0].stat()
    assert copies.as_files(changed, folder) == found
    assert files(found)[0].stat().st_mtime_ns == written.st_mtime_ns


def test_a_format_is_no_change(folder: Path, lying: datasets.Dataset) -> None:
    found = copies.as_files(lying.with_format("numpy"), folder)
    assert all(path.is_symlink() for path in files(found))


def test_what_ends_with_this_process_is_copied(folder: Path, lying: datasets.Dataset) -> None:
    datasets.disable_caching()
    try:
        mapped = lying.map(lambda row: {"text": row["text"] + "!"})
        found = copies.as_files(mapped, folder)
    finally:
        datasets.enable_caching()
    assert found.parent == folder
    assert texts(found)[0] == "Text 0.!"


def test_streams_are_written_as_they_come(folder: Path, lying: datasets.Dataset) -> None:
    """By their content: the same rows are kept once, with features or without."""
    stream = datasets.IterableDataset.from_generator(generated)
    first, second = (copies.as_files(stream, folder) for _ in range(2))
    assert first == second
    assert texts(first) == [row["text"] for row in ROWS]
    mapped = lying.to_iterable_dataset().map(lambda row: {"text": row["text"].upper()})
    assert texts(copies.as_files(mapped, folder))[-1] == "TEXT 2499."


def test_columns_that_change_on_the_way(folder: Path) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        yield from ({"text": f"T{n}.", "score": None} for n in range(1000))
        yield from ({"text": f"T{n}.", "score": 0.5, "more": "x"} for n in range(1000, 1500))

    found = copies.as_files(datasets.IterableDataset.from_generator(rows), folder)
    assert len(files(found)) == 2
    assert texts(found) == [f"T{n}." for n in range(1500)]


def test_what_arrow_can_not_hold(folder: Path) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        yield {"text": object()}

    with pytest.raises(UsageError, match="its rows can not be kept as Arrow"):
        copies.as_files(datasets.IterableDataset.from_generator(rows), folder)
    with pytest.raises(UsageError, match="it holds no document"):
        copies.as_files(datasets.Dataset.from_list([]), folder)
    assert [path.name for path in folder.iterdir()] == [".lock"], "nothing is left"


def test_splits() -> None:
    whole = datasets.Dataset.from_list(ROWS[:3])
    several = datasets.DatasetDict(train=whole, test=whole)
    assert copies.is_dataset(several)
    assert not copies.is_dataset({"train": ROWS})
    assert copies.one_split(several, "test") is several["test"]
    with pytest.raises(UsageError, match="name its split; there are: train, test"):
        copies.one_split(several, None)
    with pytest.raises(UsageError, match="no split 'dev'; there are: train, test"):
        copies.one_split(several, "dev")
    with pytest.raises(UsageError, match="a Dataset is one already"):
        copies.one_split(whole, "train")


def test_copies_that_nobody_needs_are_forgotten(tmp_path: Path, lying: datasets.Dataset) -> None:
    place = copies.folder(tmp_path, "postgresql://me:secret@host/one")
    assert place == copies.folder(tmp_path, "postgresql://you@host/one")
    assert place != copies.folder(tmp_path, "postgresql://me:secret@host/two")
    assert copies.forget(place, []) == []
    with copies.using(place):
        kept = copies.as_files(datasets.Dataset.from_list(ROWS[:5]), place)
        linked = copies.as_files(lying, place)
        (place / ".new-0123").mkdir()
        assert copies.forget(place, []) == [], "while a submission is under way"
    assert copies.forget(place, [str(kept)]) == [linked.name]
    assert sorted(path.name for path in place.iterdir()) == sorted([".lock", kept.name])
    assert all(Path(each["filename"]).is_file() for each in lying.cache_files)
    assert texts(kept) == [row["text"] for row in ROWS[:5]]

"""Objects behind URLs stand whole, or not at all. (Files: test_results.py.)"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from jobs.errors import NotAllowed, NotFound, UsageError
from producer import outputs, results
from tests.unit.test_formats import DONE
from tests.written import written

URL = "memory://bucket/folder/out.parquet"


@pytest.fixture(autouse=True)
def before() -> Iterator[None]:
    with fsspec.open(URL, "wb") as out:
        out.write(b"before")
    yield
    fsspec.filesystem("memory").rm("/bucket", recursive=True)


def content(url: str = URL) -> bytes:
    with fsspec.open(url) as file:
        read: bytes = file.read()
        return read


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_whole(form: str) -> None:
    assert results.save(written([DONE]), URL, form) == 1
    assert content() != b"before"


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_interrupted(form: str) -> None:
    def broken() -> Iterator[dict[str, Any]]:
        yield DONE
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        results.save(written(broken()), URL, form)
    assert content() == b"before"
    assert fsspec.filesystem("memory").find("/bucket") == ["/bucket/folder/out.parquet"]


@pytest.mark.parametrize(
    ("raised", "kind"), [(PermissionError("no"), NotAllowed), (RuntimeError("\nx"), NotFound)]
)
def test_a_store_that_fails(
    raised: Exception, kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    from fsspec.implementations.memory import MemoryFile

    def failing(self: MemoryFile, data: bytes) -> int:
        raise raised

    monkeypatch.setattr(MemoryFile, "write", failing)
    with pytest.raises(kind) as caught:
        results.save(written([DONE]), "memory://user:pw@bucket/out.csv?X-Signature=abc")
    assert str(caught.value).startswith("memory://…bucket/out.csv…: ")
    assert str(caught.value).endswith("; nothing was written")


def test_an_error_of_ours_is_no_error_of_the_store() -> None:
    with pytest.raises(ZeroDivisionError), outputs.whole(URL):
        1 / 0  # noqa: B018
    assert content() == b"before"


def test_a_file_by_its_url(tmp_path: Path) -> None:
    path = tmp_path / "a b.csv"
    assert results.save(written([DONE]), path.as_uri()) == 1
    assert path.read_text().startswith("index,")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("s4://bucket/out.csv", "s4"),
        ("hf://datasets/me/papers/out.csv", "--push-to-hub"),
        ("gs://bucket/out.csv", "pip install gcsfs"),
    ],
)
def test_where_nothing_can_be_written(url: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        results.save(written([DONE]), url)


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("s3://bucket/a.b/out.parquet", "out.parquet"),
        ("https://host/out.csv?signed=x.jsonl", "out.csv"),
        ("a.b/out", "out"),
        (Path("x/out.csv"), "out.csv"),
    ],
)
def test_the_name_of_a_place(place: outputs.Place, name: str) -> None:
    assert outputs.name_of(place) == name


def test_an_upload_is_given_up_where_its_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from fsspec.implementations.memory import MemoryFile

    given_up: list[MemoryFile] = []

    def refused(self: MemoryFile) -> None:
        raise PermissionError("no")

    def discard(self: MemoryFile) -> None:
        given_up.append(self)

    monkeypatch.setattr(MemoryFile, "close", refused)
    monkeypatch.setattr(MemoryFile, "discard", discard)
    with pytest.raises(NotAllowed):
        results.save(written([DONE]), URL, "jsonl")
    assert len(given_up) == 1
    monkeypatch.undo()
    assert content() == b"before"


def test_a_file_that_is_replaced_keeps_who_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.touch(0o600)
    results.save(written([DONE]), path)
    assert path.stat().st_mode & 0o777 == 0o600

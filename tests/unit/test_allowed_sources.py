"""What lies below an allowed folder or URL, and every way around that we know."""

import os
from pathlib import Path
from typing import Any

import pytest

from jobs.allowed_sources import Allowed
from jobs.documents import Columns
from jobs.errors import JobError, NotAllowed, UsageError
from tests import reading

LINE = '{"text": "one"}\n'
ANYWHERE = Allowed(None)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The allowed folder: a file, a folder and links; a neighbour has nearly its name."""
    for folder in ("data", "data/in", "data2"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.jsonl").write_text(LINE)
    (tmp_path / "data" / "inside").symlink_to("in")
    (tmp_path / "data" / "outside").symlink_to(tmp_path / "data2")
    (tmp_path / "data" / "out.jsonl").symlink_to("../data2/a.jsonl")
    (tmp_path / "data" / "none.jsonl").symlink_to("../data2/none.jsonl")
    (tmp_path / "way").symlink_to("data")
    return tmp_path / "data"


@pytest.mark.parametrize(
    "name",
    [
        "a.jsonl",
        "in/a.jsonl",
        "inside/a.jsonl",
        "in/../a.jsonl",
        "../way/a.jsonl",
        "outside/../data/a.jsonl",
    ],
)
@pytest.mark.parametrize("root", ["data", "data/", "way", "data2/../data"])
def test_below(data: Path, name: str, root: str) -> None:
    allowed = Allowed(("s3://corpus", f"{data.parent}/{root}"))
    source = reading.found(data / name, Columns(), allowed).source
    reading.worker(allowed).check(source)


@pytest.mark.parametrize(
    "name",
    [
        "../data2/a.jsonl",
        "outside/a.jsonl",
        "out.jsonl",
        "none.jsonl",
        "../none.jsonl",
        "inside/../../data2/a.jsonl",
    ],
)
def test_not_below(data: Path, name: str) -> None:
    """Nor is it told whether there is such a file."""
    allowed = Allowed((str(data),))
    path = data / name
    with pytest.raises(NotAllowed) as caught:
        reading.found(path, Columns(), allowed)
    assert str(caught.value).startswith(f"{path}: not below what allowed_sources names ({data}); ")
    source = {"kind": "jsonl", "path": str(path), "columns": {}}
    _refused_by_a_worker(source, allowed)


def test_nothing_is_allowed(data: Path) -> None:
    with pytest.raises(NotAllowed, match=r"names \(nothing\)"):
        reading.found(data / "a.jsonl", Columns(), Allowed(()))
    with pytest.raises(NotAllowed):
        Allowed(()).check_url("https://data.example.org/a.jsonl")


def test_everything_below_the_root_folder(data: Path) -> None:
    Allowed(("/",)).check_path(data)


def test_a_file_that_becomes_a_link_after_the_check(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exchanged between the check of the path and its opening, by a process that is quick."""
    path = data / "a.jsonl"
    allowed = Allowed((str(data),))
    source = reading.found(path, Columns(), allowed)
    check = Allowed.check_path

    def exchange(self: Allowed, given: Path) -> None:
        check(self, given)
        path.unlink(missing_ok=True)
        path.symlink_to(data.parent / "data2" / "a.jsonl")

    monkeypatch.setattr(Allowed, "check_path", exchange)
    _refused_by_a_worker(source.source, allowed)
    path.unlink()
    path.write_text(LINE)
    with pytest.raises(NotAllowed):
        reading.planned(source, 8, allowed)


def test_a_pipe_keeps_no_worker_waiting(data: Path) -> None:
    """A row that came another way may name one that nobody ever writes to."""
    os.mkfifo(data / "pipe")
    with pytest.raises(UsageError, match="write - for a pipe"):
        reading.found(data / "pipe", Columns())
    with pytest.raises(JobError, match="pipe: not a file"):
        reading.worker().check({"kind": "jsonl", "path": str(data / "pipe")})


ROOTS = Allowed(("s3://corpus/", "https://data.example.org/open/", "http://[::1]:8080", "/data"))


@pytest.mark.parametrize(
    "url",
    [
        "s3://corpus/2024/a.jsonl",
        "s3://corpus",
        "https://data.example.org/open/a.jsonl",
        "HTTPS://DATA.Example.org:443/open/a%20b.jsonl?signature=a%2Fb",
        "https://data.example.org./open",
        "http://[::1]:8080/x",
    ],
)
def test_an_allowed_url(url: str) -> None:
    ROOTS.check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "s3://corpus2/a.jsonl",
        "s4://corpus/a.jsonl",
        "http://data.example.org/open/a.jsonl",
        "https://data.example.org:8443/open/a.jsonl",
        "https://data.example.org/opener/a.jsonl",
        "https://data.example.org/OPEN/a.jsonl",
        "https://data.example.org/a.jsonl",
        "https://data.example.org.evil.example/open/a.jsonl",
        "https://data.example.org@evil.example/open/a.jsonl",
        "https://me:secret@data.example.org/open/a.jsonl",
        "https://evil.example\\@data.example.org/open/a.jsonl",
        "https://evil.example#@data.example.org/open/a.jsonl",
        "https://evil.example?@data.example.org/open/a.jsonl",
        "https://data.example.org/open/../closed/a.jsonl",
        "https://data.example.org/open/%2e%2E/closed/a.jsonl",
        "https://data.example.org/open/%252e%252e/closed/a.jsonl",
        "https://data.example.org/open/..%2fclosed/a.jsonl",
        "https://data.example.org/open/..%5cclosed/a.jsonl",
        "https://data.example.org/open/./a.jsonl",
        "s3://corpus/pub/#/../../closed",
        "s3://corpus/pub/?a=/../../secret",
        "s3://corpus/pub/%3Fa=/%2e%2e/closed",
        "https://data.example.org/open/\ta.jsonl",
        "https://data.example.org/open/%0aa.jsonl",
        "https://data%2eexample.org/open/a.jsonl",
        "https://data.example.org:port/open/a.jsonl",
        "https:///open/a.jsonl",
        "https://[::1/open/a.jsonl",
        "file:///data/a.jsonl",
        "/data/a.jsonl",
        "//data.example.org/open/a.jsonl",
    ],
)
def test_a_url_that_is_not_allowed(url: str) -> None:
    with pytest.raises(NotAllowed) as caught:
        ROOTS.check_url(url)
    assert "secret" not in str(caught.value)
    ANYWHERE.check_url(url)


def _refused_by_a_worker(source: dict[str, Any], allowed: Allowed) -> None:
    with pytest.raises(JobError) as caught:
        reading.worker(allowed).check(source)
    assert caught.value.code == "source_not_allowed"


def test_what_was_uploaded_is_named_by_no_path(data: Path) -> None:
    """Where it lies below what is allowed, one token could name another's."""
    allowed = Allowed((str(data),), str(data / "in"))
    allowed.check_path(data / "a.jsonl")
    for name in ("in/a.jsonl", "inside/a.jsonl", "in"):
        with pytest.raises(NotAllowed):
            allowed.check_path(data / name)
    allowed.of({"upload": {"id": "file-1"}}).check_path(data / "in/a.jsonl")
    by_url = Allowed(("s3://corpus/",), "s3://corpus/uploads")
    by_url.check_url("s3://corpus/uploads2/a.jsonl")
    with pytest.raises(NotAllowed):
        by_url.check_url("s3://corpus/uploads/file-1.jsonl")
    by_url.of({"upload": {"id": "file-1"}}).check_url("s3://corpus/uploads/file-1.jsonl")

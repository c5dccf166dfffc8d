"""Files behind URLs, on a real S3 and over HTTP: found, read, known again, and refused."""

import gzip
import io
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.allowed_sources import Allowed
from jobs.documents import Columns
from jobs.errors import (
    GistmillError,
    JobError,
    NotAllowed,
    NotFound,
    TransientError,
    Unreachable,
    UsageError,
)
from jobs.sources.places import drivers
from tests import reading, s3
from tests.s3 import Store

COLUMNS = Columns("text", "id")


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with s3.store() as found:
        yield found


def rows(first: int, count: int) -> list[dict[str, Any]]:
    return [{"id": n, "text": f"text {n}"} for n in range(first, first + count)]


def jsonl(written: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in written)


def parquet(written: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(written), out, row_group_size=3)
    return out.getvalue()


def texts(location: str, size: int = 4, allowed: Allowed = reading.ANYWHERE) -> list[str | None]:
    """As a submission cuts it and a worker reads it."""
    found = reading.found(location, COLUMNS, allowed)
    shards = reading.planned(found, size, allowed)
    with reading.working(allowed) as sources:
        read = [sources.read(reading.extent(found.source, shard)) for shard in shards]
    return [document.text for documents in read for document in documents]


EXPECTED = [row["text"] for row in rows(0, 20)]


@pytest.fixture(scope="module")
def corpus(store: Store) -> Store:
    store.put("in.jsonl", jsonl(rows(0, 20)))
    store.put("in.jsonl.gz", gzip.compress(jsonl(rows(0, 20))))
    for number in range(2):
        store.put(f"parts/{number}.parquet", parquet(rows(10 * number, 10)))
    for mark in ("parts/_SUCCESS", "parts/.crc/0.parquet"):
        store.put(mark, b"")
    return store


@pytest.mark.parametrize(
    "location", ["in.jsonl", "in.jsonl.gz", "parts/*.parquet", "parts", "parts/", "**/*.parquet"]
)
def test_in_a_bucket(corpus: Store, location: str) -> None:
    if location == "**/*.parquet":
        corpus.files().rm(f"{s3.BUCKET}/parts/.crc", recursive=True)
    assert texts(f"s3://{s3.BUCKET}/{location}") == EXPECTED


@pytest.mark.parametrize("location", ["in.jsonl", "in.jsonl.gz"])
def test_over_http(corpus: Store, location: str) -> None:
    assert texts(f"{corpus.web}/{location}") == EXPECTED


def test_a_changed_object(store: Store) -> None:
    """Of the same size, and while a part of the file is still kept from the last read."""
    url = store.put("changes.parquet", parquet(rows(0, 10)))
    found = reading.found(url, COLUMNS)
    first, second = reading.planned(found, 5)
    with reading.working() as sources:
        sources.read(reading.extent(found.source, first))
        store.put("changes.parquet", parquet([{**row, "id": 9} for row in rows(0, 10)]))
        with pytest.raises(JobError, match="changed after it was submitted") as caught:
            sources.read(reading.extent(found.source, second))
    assert caught.value.code == "source_changed"


def test_an_object_that_is_gone(store: Store) -> None:
    url = store.put("gone.jsonl", jsonl(rows(0, 10)))
    found = reading.found(url, COLUMNS)
    store.files().rm("corpus/gone.jsonl")
    with pytest.raises(JobError, match="no such file, on the worker") as caught:
        reading.worker().check(found.source)
    assert caught.value.code == "source_unreadable"


@pytest.mark.parametrize(
    ("location", "error", "message"),
    [
        ("s3://corpus/none.jsonl", NotFound, "no such file"),
        ("s3://corpus/none/*.jsonl", NotFound, "no file is there"),
        ("s3://other/none.jsonl", NotFound, "bucket does not exist"),
        ("WEB/none.jsonl", NotFound, "404 NOT FOUND"),
        ("http://127.0.0.1:9/in.jsonl", Unreachable, "Cannot connect to host 127.0.0.1:9"),
        ("gs://corpus/in.jsonl", UsageError, "gs:// needs a driver: pip install gcsfs"),
        ("s4://corpus/in.jsonl", UsageError, "nothing is known of s4://"),
        ("zip://in.jsonl::s3://corpus/in.zip", UsageError, "name one URL"),
        ("https://me:s3cr3t@example.org/in.jsonl", UsageError, "password would be stored"),
        ("https://example.org/in.jsonl?sig=s3cr3t", UsageError, "may be a key"),
    ],
)
def test_what_can_not_be_submitted(
    store: Store, location: str, error: type[GistmillError], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        reading.found(location.replace("WEB", store.web), COLUMNS)
    assert "\n" not in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(("scheme", "extra"), [("s3", "s3"), ("https", "http")])
def test_a_driver_that_is_missing_is_named_by_its_extra(scheme: str, extra: str) -> None:
    how = rf"{scheme}:// needs a driver: pip install 'gistmill\[{extra}\]'"
    with pytest.raises(drivers.Trouble, match=how), drivers.installed(scheme):
        raise ImportError("No module named x")


def test_an_object_that_is_not_for_everybody(store: Store) -> None:
    store.files().pipe_file("corpus/private.jsonl", jsonl(rows(0, 1)))
    with pytest.raises(NotFound, match="403 FORBIDDEN"):
        reading.found(f"{store.web}/private.jsonl", COLUMNS)


def test_a_store_that_does_not_answer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    url = store.put("away.jsonl", jsonl(rows(0, 1)))
    found = reading.found(url, COLUMNS)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    store.files().clear_instance_cache()
    with pytest.raises(Unreachable, match="Could not connect to the endpoint"):
        reading.found(url, COLUMNS)
    with pytest.raises(TransientError, match=r"away\.jsonl: Could not connect") as caught:
        reading.worker().check(found.source)
    assert caught.value.code == "source_unreadable"
    store.files().clear_instance_cache()


def test_only_below_what_is_allowed(corpus: Store) -> None:
    allowed = Allowed((f"s3://{s3.BUCKET}/parts",))
    assert texts("s3://corpus/parts/*.parquet", allowed=allowed) == EXPECTED
    for location in ("s3://corpus/in.jsonl", "s3://corpus/**", f"{corpus.web}/in.jsonl"):
        with pytest.raises(NotAllowed, match="not below what allowed_sources names"):
            reading.found(location, COLUMNS, allowed)
    found = reading.found("s3://corpus/in.jsonl", COLUMNS)
    with pytest.raises(JobError) as caught:
        reading.worker(allowed).check(found.source)
    assert caught.value.code == "source_not_allowed"


def test_a_file_of_this_machine(tmp_path: Any) -> None:
    """Is one like any other, and lies below a folder or not at all."""
    path = tmp_path / "a b.jsonl"
    path.write_bytes(jsonl(rows(0, 20)))
    assert texts(path.as_uri(), allowed=Allowed((str(tmp_path),))) == EXPECTED
    assert reading.found(path.as_uri(), COLUMNS).source["path"] == str(path)
    with pytest.raises(NotAllowed):
        reading.found(path.as_uri(), COLUMNS, Allowed(("s3://corpus",)))


# --- HTTP servers that are not all they might be


class Server(BaseHTTPRequestHandler):
    """/moved leads to what follows ?to=; /whole gives no parts; /busy is; /endless has no size."""

    data = jsonl(rows(0, 20))

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        kind, _, target = self.path.partition("/to/")
        if kind == "/moved":
            self.send_response(302)
            self.send_header("Location", target)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(503 if kind == "/busy" else 200)
        if kind != "/endless":
            self.send_header("Content-Length", str(len(self.data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(self.data)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_redirect_is_followed_to_where_it_may_lead(corpus: Store, web: str) -> None:
    moved = f"{web}/moved/to/{corpus.web}/in.jsonl"
    assert texts(moved, allowed=Allowed((web, corpus.web))) == EXPECTED
    with pytest.raises(NotAllowed) as caught:
        reading.found(moved, COLUMNS, Allowed((web,)))
    assert str(caught.value).startswith(f"{corpus.web}/in.jsonl: not below")


def test_a_server_without_parts_of_files(web: str) -> None:
    """What fits into one request is read all the same."""
    assert texts(f"{web}/whole", size=20) == EXPECTED


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [("busy", Unreachable, "503 "), ("endless", NotFound, "does not say how long it is")],
)
def test_a_server_that_does_not_do(
    web: str, path: str, error: type[GistmillError], message: str
) -> None:
    with pytest.raises(error, match=message):
        reading.found(f"{web}/{path}", COLUMNS)

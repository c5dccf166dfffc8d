"""Results written to a store that speaks S3, on loopback: whole, or not at all."""

import random
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from jobs.errors import NotFound
from producer import results
from tests.unit.test_formats import DONE

URL = "s3://papers/night/out.parquet"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def store(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="papers")
    client.put_object(Bucket="papers", Key="night/out.parquet", Body=b"before")
    yield client
    for each in client.list_objects_v2(Bucket="papers").get("Contents", []):
        client.delete_object(Bucket="papers", Key=each["Key"])
    client.delete_bucket(Bucket="papers")


def content(store: Any) -> dict[str, bytes]:
    keys = [each["Key"] for each in store.list_objects_v2(Bucket="papers")["Contents"]]
    return {key: store.get_object(Bucket="papers", Key=key)["Body"].read() for key in keys}


def rows(count: int) -> Iterator[dict[str, Any]]:
    """Each of some 64 kB that nothing compresses."""
    noise = random.Random(0)
    for index in range(count):
        yield {**DONE, "index": index, "summary": noise.randbytes(32_000).hex()}


def test_whole(store: Any) -> None:
    assert results.save([DONE], URL) == 1
    [(key, found)] = content(store).items()
    assert key == "night/out.parquet"
    assert found.startswith(b"PAR1")
    assert found.endswith(b"PAR1")


def test_in_several_parts(store: Any) -> None:
    assert results.save(rows(850), "s3://papers/large.jsonl") == 850
    assert content(store)["large.jsonl"].count(b"\n") == 850


@pytest.mark.parametrize("count", [1, 850])
def test_interrupted(store: Any, count: int) -> None:
    """Before the first part was sent, and after it."""

    def broken() -> Iterator[dict[str, Any]]:
        yield from rows(count)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        results.save(broken(), URL, "jsonl")
    assert content(store) == {"night/out.parquet": b"before"}
    assert "Uploads" not in store.list_multipart_uploads(Bucket="papers")


def test_no_such_bucket(store: Any) -> None:
    with pytest.raises(NotFound) as caught:
        results.save([DONE], "s3://nowhere/out.csv")
    assert str(caught.value).startswith("s3://nowhere/out.csv: ")
    assert str(caught.value).endswith("; nothing was written")
    assert "\n" not in str(caught.value)

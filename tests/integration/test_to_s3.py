"""Results written to a store that speaks S3, on loopback: whole, or not at all."""

import random
from collections.abc import Iterator
from typing import Any

import pytest

from jobs.errors import NotFound
from producer import results
from tests import s3
from tests.unit.test_formats import DONE
from tests.written import written

URL = f"s3://{s3.BUCKET}/out.parquet"


@pytest.fixture(scope="module")
def store() -> Iterator[s3.Store]:
    with s3.store() as opened:
        yield opened


@pytest.fixture(autouse=True)
def before(store: s3.Store) -> None:
    store.put("out.parquet", b"before")


def content(store: s3.Store, url: str = URL) -> bytes:
    files = store.files()
    files.invalidate_cache()
    read: bytes = files.cat_file(url)
    return read


def rows(count: int) -> Iterator[dict[str, Any]]:
    """Each of some 64 kB that nothing compresses."""
    noise = random.Random(0)
    for index in range(count):
        yield {**DONE, "index": index, "summary": noise.randbytes(32_000).hex()}


def test_whole(store: s3.Store) -> None:
    assert results.save(written([DONE]), URL) == 1
    assert content(store)[:4] == content(store)[-4:] == b"PAR1"


def test_in_several_parts(store: s3.Store) -> None:
    url = f"s3://{s3.BUCKET}/large.jsonl"
    assert results.save(written(rows(850)), url) == 850
    assert content(store, url).count(b"\n") == 850


@pytest.mark.parametrize("count", [1, 850])
def test_interrupted(store: s3.Store, count: int) -> None:
    """Before the first part was sent, and after it."""

    def broken() -> Iterator[dict[str, Any]]:
        yield from rows(count)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        results.save(written(broken()), URL, "jsonl")
    assert content(store) == b"before"
    assert "Uploads" not in store.files().call_s3("list_multipart_uploads", Bucket=s3.BUCKET)


def test_no_such_bucket(store: s3.Store) -> None:
    with pytest.raises(NotFound) as caught:
        results.save(written([DONE]), "s3://nowhere/out.csv")
    assert str(caught.value).startswith("s3://nowhere/out.csv: ")
    assert str(caught.value).endswith("; nothing was written")
    assert "\n" not in str(caught.value)
    assert s3.SECRET not in str(caught.value)

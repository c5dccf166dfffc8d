"""Reads files of a repository: through the hub's cache, or by ranges where they are too large.

At a commit a file never changes, so what is in the cache needs no network any more, and one
download serves all workers of a machine. The footer of a Parquet file is read by a range of
its own, so that a dataset is cut into shards without its data.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from jobs.sources.hub.repository import File, Repository

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

LARGEST = 512 * 1024 * 1024
"""Bytes of a file that is downloaded: what `datasets` makes at most when it writes one, and what
a worker gets at 1 MB/s before a batch's deadline. Of larger ones it reads what it needs."""

_SMALL = 1024 * 1024
"""Bytes of a file that is downloaded whole, Parquet or not."""
_AHEAD = 8 * 1024 * 1024
"""Bytes that are read at once of a larger one."""
_RETRIES = 2
"""Of a range: for a hub that stumbles. One that is away is asked again from SQL."""
_TAIL = 64 * 1024
"""Bytes in which most Parquet files have their footer; it is what pyarrow reads first."""
_MAGIC = b"PAR1"
_FOOTERS = 256
"""That are kept, and had ahead."""
_AT_ONCE = 16


def opened(repository: Repository, file: File) -> BinaryIO:
    """Fetches nothing before it is read; then raises what the clients of the hub raise."""
    if (cached := _cached(repository, file)) is not None:
        return cached.open("rb")
    if file.size > LARGEST:
        return BufferedReader(_ByRanges(repository, file), _AHEAD)
    if _is_large_parquet(file):
        return BufferedReader(_FooterFirst(repository, file))
    return BufferedReader(_Downloaded(repository, file), _SMALL)


def by_ranges(repository: Repository, file: File, at_once: int) -> BinaryIO:
    """For who reads little of it: never downloads it, whatever its size."""
    return BufferedReader(_ByRanges(repository, file), at_once)


def look_ahead(repository: Repository, files: Sequence[File]) -> None:
    """Have the footers of Parquet files, several at a time, which are then at hand when the
    files are opened one after the other. Raises what reading raises."""
    wanted = [
        file
        for file in files[:_FOOTERS]
        if file.size <= LARGEST and _is_large_parquet(file) and _cached(repository, file) is None
    ]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for _ in pool.map(partial(_footer, repository), wanted):
            pass


def _is_large_parquet(file: File) -> bool:
    return file.path.endswith(".parquet") and file.size > _SMALL


def _cached(repository: Repository, file: File) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(
        repository.dataset, file.path, repo_type="dataset", revision=repository.commit
    )
    return Path(found) if isinstance(found, str) else None


def _download(repository: Repository, file: File) -> BinaryIO:
    from huggingface_hub import hf_hub_download

    path = hf_hub_download(
        repository.dataset, file.path, repo_type="dataset", revision=repository.commit
    )
    return Path(path).open("rb")


def _range(repository: Repository, file: File, start: int, stop: int) -> bytes:
    from huggingface_hub import constants, hf_hub_url
    from huggingface_hub.utils import (  # type: ignore[attr-defined]  # their documented home
        build_hf_headers,
        hf_raise_for_status,
        http_backoff,
    )

    url = hf_hub_url(repository.dataset, file.path, repo_type="dataset", revision=repository.commit)
    headers = {**build_hf_headers(), "Range": f"bytes={start}-{stop - 1}"}
    answer = http_backoff(
        "GET",
        url,
        headers=headers,
        timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT,
        max_retries=_RETRIES,
    )
    hf_raise_for_status(answer)
    return answer.content


class _ByRanges(RawIOBase):
    """A file of which is had what is read."""

    def __init__(self, repository: Repository, file: File) -> None:
        self._where = repository, file
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        size = self._where[1].size
        begins = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: size}
        self._at = max(0, begins[whence] + offset)
        return self._at

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        view = memoryview(buffer).cast("B")
        stop = min(self._at + len(view), self._where[1].size)
        found = self._read(self._at, stop) if stop > self._at else b""
        view[: len(found)] = found
        self._at += len(found)
        return len(found)

    def _read(self, start: int, stop: int) -> bytes:
        return _range(*self._where, start, stop)


class _Downloaded(_ByRanges):
    """One that is downloaded when it is read first."""

    _whole: BinaryIO | None = None

    def close(self) -> None:
        if self._whole is not None:
            self._whole.close()
        super().close()

    def _read(self, start: int, stop: int) -> bytes:
        if self._whole is None:
            self._whole = _download(*self._where)
        self._whole.seek(start)
        return self._whole.read(stop - start)


class _FooterFirst(_Downloaded):
    """A Parquet file whose footer is had by itself; reading anything else downloads the file."""

    def _read(self, start: int, stop: int) -> bytes:
        begins, footer = _footer(*self._where)
        if start >= begins:
            return footer[start - begins : stop - begins]
        return super()._read(start, stop)


@lru_cache(maxsize=_FOOTERS)
def _footer(repository: Repository, file: File) -> tuple[int, bytes]:
    """Bytes to the end of the file, and where they begin: as many as pyarrow reads first, and
    the whole footer."""
    start = max(0, file.size - _TAIL)
    tail = _range(repository, file, start, file.size)
    begins = max(0, file.size - 8 - int.from_bytes(tail[-8:-4], "little"))
    if tail.endswith(_MAGIC) and begins < start:
        return begins, _range(repository, file, begins, start) + tail
    return start, tail

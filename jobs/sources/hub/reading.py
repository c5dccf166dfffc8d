"""Reads files of a repository: through the hub's cache, or by ranges where they are too large.

At a commit a file never changes, so what is in the cache needs no network any more, and one
download serves all workers of a machine. The footer of a Parquet file is read by a range of
its own, so that a dataset is cut into shards without its data.
"""

import os
from functools import cached_property
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from jobs.sources.hub.repository import File, Repository

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

LARGEST = 512 * 1024 * 1024
"""Bytes of a file that is downloaded: what `datasets` makes at most when it writes one, and what
a worker gets at 1 MB/s before a batch's deadline. Of larger ones it reads what it needs."""

_AHEAD = 8 * 1024 * 1024
"""Bytes that are read at once of a larger one."""
_TAIL = 64 * 1024
"""Bytes in which most Parquet files have their footer; it is what pyarrow reads first."""
_MAGIC = b"PAR1"


def opened(repository: Repository, file: File, largest: int = LARGEST) -> BinaryIO:
    """Raises what the clients of the hub raise, here and while it is read."""
    from huggingface_hub import try_to_load_from_cache

    where = {"repo_type": "dataset", "revision": repository.commit}
    cached = try_to_load_from_cache(repository.dataset, file.path, **where)
    if isinstance(cached, str):
        return Path(cached).open("rb")
    if file.size > largest:
        return _by_ranges(repository, file)
    if file.path.endswith(".parquet"):
        return BufferedReader(_FooterFirst(repository, file))
    return _downloaded(repository, file)


def _downloaded(repository: Repository, file: File) -> BinaryIO:
    from huggingface_hub import hf_hub_download

    path = hf_hub_download(
        repository.dataset, file.path, repo_type="dataset", revision=repository.commit
    )
    return Path(path).open("rb")


def _by_ranges(repository: Repository, file: File) -> BinaryIO:
    from huggingface_hub import HfFileSystem

    url = repository.url(file.path)
    found: BinaryIO = HfFileSystem().open(url, "rb", block_size=_AHEAD, size=file.size)
    return found


def _range(repository: Repository, file: File, start: int, stop: int) -> bytes:
    from huggingface_hub import HfFileSystem

    url = repository.url(file.path)
    with HfFileSystem().open(url, "rb", size=file.size, cache_type="none") as whole:
        whole.seek(start)
        found: bytes = whole.read(stop - start)
    return found


class _FooterFirst(RawIOBase):
    """A Parquet file whose footer is had by itself; reading anything else downloads the file."""

    def __init__(self, repository: Repository, file: File) -> None:
        self._repository = repository
        self._file = file
        self._at = 0
        self._whole: BinaryIO | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        begins = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._file.size}
        self._at = max(0, begins[whence] + offset)
        return self._at

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        view = memoryview(buffer).cast("B")
        found = self._read(len(view))
        view[: len(found)] = found
        self._at += len(found)
        return len(found)

    def close(self) -> None:
        if self._whole is not None:
            self._whole.close()
        super().close()

    def _read(self, count: int) -> bytes:
        start, footer = self._footer
        if self._at >= start:
            return footer[self._at - start :][:count]
        if self._whole is None:
            self._whole = _downloaded(self._repository, self._file)
        self._whole.seek(self._at)
        return self._whole.read(count)

    @cached_property
    def _footer(self) -> tuple[int, bytes]:
        """Where it begins, and its bytes to the end of the file; the last few, if it is none."""
        size = self._file.size
        start = max(0, size - _TAIL)
        tail = _range(self._repository, self._file, start, size)
        if tail.endswith(_MAGIC):
            length = int.from_bytes(tail[-8:-4], "little")
            begins = max(0, size - 8 - length)
            if begins < start:
                tail = _range(self._repository, self._file, begins, start) + tail
                start = begins
        return start, tail

"""Files behind a URL that fsspec knows: s3://, gs://, https:// and others.

The stamp is the size, and what the store has to tell one version from the next: an ETag or a
checksum, else when it was written. Each scheme needs its driver, which brings its own settings
and credentials (docs/sources.md): a URL is stored with the job, and must hold none.
"""

import glob
import io
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

from jobs.allowed_sources import Allowed, without_secrets
from jobs.errors import JobError, NotFound, TransientError, Unreachable, UsageError
from jobs.sources.asked import Asked
from jobs.sources.located import File, Located
from jobs.sources.places import drivers
from jobs.sources.places.drivers import Trouble

KEY = "url"

# Read at once: each is a request of its own.
_BLOCK = 8 * 1024 * 1024

# What drivers call what tells one version from the next, and when it was written.
_CHECKSUMS = (
    "ETag", "etag", "md5Hash", "content_md5", "Content-MD5", "crc32c", "checksum", "generation",
)  # fmt: skip
_TIMES = ("LastModified", "Last-Modified", "last_modified", "mtime", "modified", "created")

# Names in a folder that are not of its data: hidden ones, and marks such as _SUCCESS.
_LEFT_OUT = re.compile(r"/[._]")


def find(location: str, asked: Asked, allowed: Allowed) -> Located:
    _check_form(location)
    if asked.split is not None:
        raise UsageError(
            f"{name({KEY: location})}: --split is for datasets; this is a URL of files"
        )
    allowed.check_url(location)
    with submitting({KEY: location}), drivers.trouble():
        files = drivers.filesystem(location, allowed)
        path = files._strip_protocol(location)
        magic = "*" in location if _is_http(location) else glob.has_magic(location)
        if magic and not files.exists(path):
            found = files.glob(path, detail=True)
        elif not _is_http(location) and files.isdir(path):
            found = files.find(path, detail=True)
            found = {n: d for n, d in found.items() if not _LEFT_OUT.search(n[len(path) :])}
        else:
            return Located([{KEY: location}])
        listed = [_listed(files, found[n]) for n in sorted(found) if found[n]["type"] == "file"]
    if not listed:
        raise NotFound(f"{location}: no file is there")
    return Located(listed, pattern=location)


def name(file: Mapping[str, Any]) -> str:
    return without_secrets(file[KEY])


def open_file(file: Mapping[str, Any], allowed: Allowed) -> tuple[BinaryIO, dict[str, Any]]:
    url = file[KEY]
    allowed.check_url(url)
    with drivers.trouble(), ExitStack() as failing:
        files = drivers.filesystem(url, allowed)
        path = files._strip_protocol(url)
        files.invalidate_cache(files._parent(path))
        stamp = _stamp(files.info(path))
        opened = files.open(path, "rb", cache_type="none", size=stamp["size"])
        remote = failing.enter_context(_Remote(opened))
        buffered = io.BufferedReader(remote, _BLOCK)
        failing.pop_all()
    return cast(BinaryIO, buffered), stamp


@contextmanager
def submitting(file: Mapping[str, Any]) -> Iterator[None]:
    try:
        yield
    except Trouble as error:
        if error.driver:
            raise UsageError(f"{name(file)}: {error}") from None
        kind = Unreachable if error.may_pass else NotFound
        raise kind(f"{name(file)}: {error}") from None


@contextmanager
def working(file: Mapping[str, Any]) -> Iterator[None]:
    try:
        yield
    except Trouble as error:
        kind = TransientError if error.may_pass else JobError
        raise kind("source_unreadable", f"{name(file)}: {error}, on the worker") from None


def _check_form(url: str) -> None:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise UsageError(f"{without_secrets(url)}: no URL ({error})") from None
    if "::" in url:
        raise UsageError(f"{without_secrets(url)}: name one URL, none within another")
    if "@" in parts.netloc:
        how = "give it to the driver, as docs/sources.md says"
        raise UsageError(f"{without_secrets(url)}: a password would be stored with the job; {how}")
    if _is_http(url) and (parts.query or parts.fragment):
        raise UsageError(
            f"{without_secrets(url)}: what follows ? may be a key, and would be stored with the "
            "job; name it without, or pipe it: curl URL | gistmill submit -"
        )


def _is_http(url: str) -> bool:
    return url.lower().startswith(("http://", "https://"))


def _listed(files: Any, info: dict[str, Any]) -> File:
    """With its stamp, where a list has what it is made of."""
    url = {KEY: files.unstrip_protocol(info["name"])}
    known = info.get("size") is not None and any(info.get(each) for each in _CHECKSUMS)
    return {**url, **_stamp(info)} if known else url


def _stamp(info: Mapping[str, Any]) -> dict[str, Any]:
    if info["type"] != "file":
        raise Trouble("is a folder, not a file", may_pass=False)
    if info.get("size") is None:
        how = "download it, or pipe it: curl URL | gistmill submit -"
        raise Trouble(f"the server does not say how long it is; {how}", may_pass=False)
    version = next((info[each] for each in (*_CHECKSUMS, *_TIMES) if info.get(each)), None)
    return {"size": info["size"], "version": None if version is None else str(version)}


class _Remote(io.RawIOBase):
    """A driver's file, its errors told from all others."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def readinto(self, buffer: Any) -> int:
        with drivers.trouble():
            data: bytes = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read(self, count: int = -1) -> bytes:
        with drivers.trouble():
            return bytes(self._file.read(count))

    def close(self) -> None:
        self._file.close()
        super().close()

"""Where results are written: a file here, or an object behind a URL, as a whole or not at all.

Until the last byte is there, what stood under that name stands; whatever ends it before,
leaves nothing. Knows nothing of what is written.
"""

import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from stat import S_IMODE
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from jobs.allowed_sources import is_url, without_secrets
from jobs.errors import GistmillError, NotAllowed, NotFound, UsageError

Place = str | os.PathLike[str]
"""A path, or a URL that fsspec knows, such as `s3://bucket/out.parquet`."""


def name_of(place: Place) -> str:
    """The file's own name, by which its format is told."""
    text = os.fspath(place)
    return PurePosixPath(urlsplit(text).path).name if is_url(text) else Path(text).name


def shown(place: Place) -> str:
    """As messages name it: without what a URL may hold that nobody else should know."""
    text = os.fspath(place)
    return without_secrets(text) if is_url(text) else text


@contextmanager
def whole(place: Place) -> Iterator[BinaryIO]:
    """Open for bytes, and in its place once the block is over.

    Raises NotFound where it can not be written, NotAllowed where the store refuses, UsageError
    where there can not be a file or the package that its URL needs is not installed.
    """
    text = os.fspath(place)
    parts = urlsplit(text)
    if is_url(text) and parts.scheme != "file":
        with _elsewhere(text) as out:
            yield out
    else:
        with _here(Path(unquote(parts.path) if is_url(text) else text)) as out:
            yield out


# --- here


@contextmanager
def _here(path: Path) -> Iterator[BinaryIO]:
    """A file beside `path` that takes its place at the end, or goes if something is wrong."""
    try:
        target = _target(path)
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        partial = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as out:
                yield out
                out.flush()
                os.fsync(out.fileno())
            _publish(partial, target)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        reason = f"{path}: {error.strerror or error}; nothing was written"
        raise NotFound(f"{reason}; name a file in a writable folder with room") from error


def _target(path: Path) -> Path:
    """Where a link leads. A device, `/dev/stdout` among them, must not be replaced by a file."""
    if path.exists() and not path.is_file():
        raise UsageError(f"{path}: is a folder or a device; name a file, or leave it out")
    return Path(os.path.realpath(path))


def _publish(partial: Path, path: Path) -> None:
    partial.chmod(_mode(path))
    partial.replace(path)


def _mode(path: Path) -> int:
    """That of the file which is replaced. mkstemp makes them for the owner alone, but where there
    was none a result is as readable as any new file."""
    if path.exists():
        return S_IMODE(path.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


# --- elsewhere


@contextmanager
def _elsewhere(url: str) -> Iterator[BinaryIO]:
    """An object whose upload is made whole at the end, or given up if something is wrong."""
    with _writing(url):
        files, path = _filesystem(url)
        transaction = files.transaction
        transaction.start()
        file = files.open(path, "wb")
    complete = False
    try:
        yield _Upload(file, url)  # type: ignore[misc]  # it writes, which is all that is asked
        complete = True
    finally:
        with _writing(url):
            try:
                file.close()
            except BaseException:
                complete = False
                raise
            finally:
                # Given up, too, where its last part was refused: a store keeps the others else.
                transaction.complete(commit=complete)


def _filesystem(url: str) -> tuple[Any, str]:
    import fsspec

    scheme = urlsplit(url).scheme
    if scheme == "hf":
        raise UsageError(f"{without_secrets(url)}: give it to the hub with --push-to-hub ORG/NAME")
    try:
        # Not a shared one: it is told that all it opens is written whole or not at all.
        files, path = fsspec.core.url_to_fs(url, skip_instance_cache=True)
    except ImportError as error:
        missing = error.__cause__ if isinstance(error.__cause__, ImportError) else error
        message = f"{without_secrets(url)}: {scheme}:// needs the package {missing.name}"
        raise UsageError(f"{message}; install it with: pip install {missing.name}") from error
    except ValueError as error:
        raise UsageError(f"{without_secrets(url)}: {error}") from error
    return files, path


class _Upload(io.RawIOBase):
    """What is written to it goes to the store, whose errors become ours."""

    def __init__(self, file: Any, url: str) -> None:
        self._file = file
        self._url = url

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        with _writing(self._url):
            return int(self._file.write(data))


@contextmanager
def _writing(url: str) -> Iterator[None]:
    """Around calls of a store's client alone: each has errors of its own, of any class."""
    try:
        yield
    except GistmillError:
        raise
    except NotImplementedError as error:
        raise UsageError(f"{without_secrets(url)}: nothing can be written there") from error
    except Exception as error:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        kind = NotAllowed if isinstance(error, PermissionError) else NotFound
        raise kind(f"{without_secrets(url)}: {reason}; nothing was written") from error

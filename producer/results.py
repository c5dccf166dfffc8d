"""A job's result rows: read in order of index, and saved as a whole file or not at all.

Memory stays flat however many rows there are. What a row looks like in a file is
`producer.formats`.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from jobs.database import Database
from jobs.errors import NotFound, UsageError
from jobs.store import summaries
from producer import formats

_PAGE = 1000
# How a file of JSON lines may end.
_JSON_LINES = ("", "jsonl", "json", "ndjson")


def rows(database: Database, job_id: str) -> Iterator[dict[str, Any]]:
    """Result rows in order of index, read a page at a time: no transaction stays open."""
    after = -1
    while True:
        with database.transaction() as tx:
            page = summaries.page(tx, job_id, after, _PAGE)
        if not page:
            return
        yield from page
        after = page[-1]["index"]


def choose_format(asked: str | None, path: Path | None) -> str:
    """The format asked for, else the one that the name of the file ends in, else JSON lines.

    Raises UsageError for an unknown one, and for Parquet without a file.
    """
    suffix = path.suffix.lower().removeprefix(".") if path else ""
    chosen = asked or ("jsonl" if suffix in _JSON_LINES else suffix)
    if chosen not in formats.WRITERS:
        raise UsageError(f"format {chosen!r}: choose one of {', '.join(formats.WRITERS)}")
    if chosen == "parquet" and path is None:
        raise UsageError("parquet can not be streamed; name a file with -o, as in -o out.parquet")
    return chosen


def save(rows: Iterable[dict[str, Any]], path: Path, form: str | None = None) -> int:
    """Write `path` as a whole: until the last row is on disk, what stood there stands.

    Returns how many rows it holds. Raises NotFound where the file can not be written,
    UsageError where `path` can not be a file or the format is unknown.
    """
    writer = formats.WRITERS[choose_format(form, path)]
    with _whole(path) as out:
        return writer(rows, out)


@contextmanager
def _whole(path: Path) -> Iterator[BinaryIO]:
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
    # mkstemp makes files for the owner alone; a result is as readable as any new file.
    mask = os.umask(0)
    os.umask(mask)
    partial.chmod(0o666 & ~mask)
    partial.replace(path)

"""Results as JSON lines: streamed in order of index, in flat memory, all or nothing on disk."""

import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from jobs.database import Database
from jobs.errors import NotFound
from jobs.store import summaries

_PAGE = 1000


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


def write(rows: Iterable[dict[str, Any]], out: TextIO) -> int:
    """Returns how many rows were written."""
    count = 0
    for row in rows:
        out.write(json.dumps(row, ensure_ascii=False) + "\n")
        count += 1
    return count


def save(rows: Iterable[dict[str, Any]], path: Path) -> int:
    """Write `path` as a whole: until the last row is on disk, what stood there stands.

    Raises NotFound where the folder is not there or can not be written.
    """
    try:
        descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise NotFound(f"{path}: {error.strerror}; name a file in a writable folder") from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            count = write(rows, out)
            out.flush()
            os.fsync(out.fileno())
        _publish(Path(partial), path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
    return count


def _publish(partial: Path, path: Path) -> None:
    # mkstemp makes files for the owner alone; a result is as readable as any new file.
    mask = os.umask(0)
    os.umask(mask)
    partial.chmod(0o666 & ~mask)
    partial.replace(path)

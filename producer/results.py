"""A job's result rows: read in order of index, and saved as a whole file or not at all.

Memory stays flat however many rows there are. What a row looks like in a file is
`producer.formats`, where the file goes `producer.outputs`.
"""

from collections.abc import Callable, Iterator
from pathlib import PurePath
from typing import Any, BinaryIO

from jobs.database import Database
from jobs.errors import UsageError
from jobs.store import summaries
from producer import formats, outputs
from producer.outputs import Place

_PAGE = 1000
# How a file of JSON lines may end.
_JSON_LINES = ("", "jsonl", "json", "ndjson")


def rows(database: Database, job_id: str, after: int = -1) -> Iterator[dict[str, Any]]:
    """Result rows in order of index, those above `after`, read a page at a time: no transaction
    stays open."""
    while True:
        with database.transaction() as tx:
            page = summaries.page(tx, job_id, after, _PAGE)
        if not page:
            return
        yield from page
        after = page[-1]["index"]


def choose_format(asked: str | None, place: Place | None) -> str:
    """The format asked for, else the one that the name of the file ends in, else JSON lines.

    Raises UsageError for an unknown one, and for Parquet without a file.
    """
    name = outputs.name_of(place) if place else ""
    suffix = PurePath(name).suffix.lower().removeprefix(".")
    chosen = asked or ("jsonl" if suffix in _JSON_LINES else suffix)
    if chosen not in formats.WRITERS:
        raise UsageError(f"format {chosen!r}: choose one of {', '.join(formats.WRITERS)}")
    if chosen == "parquet" and place is None:
        raise UsageError("parquet can not be streamed; name a file with -o, as in -o out.parquet")
    return chosen


def save(write: Callable[[str, BinaryIO], int], place: Place, form: str | None = None) -> int:
    """`write` rows in a format to `place` as a whole: until the last row is there, what stood
    there stands.

    Returns how many rows it holds. Raises what `outputs.whole` raises, and UsageError where the
    format is unknown.
    """
    chosen = choose_format(form, place)
    with outputs.whole(place) as out:
        return write(chosen, out)

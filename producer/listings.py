"""What there is to give back of a job: its result rows, or its source joined with them."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, BinaryIO, Protocol

from jobs.database import Database
from jobs.sources import Sources
from producer import formats, results
from producer.formats import Columns, ResultColumns
from producer.joining import Joined


class Listing(Columns, Protocol):
    """Rows in order of index, and their columns."""

    def rows(self) -> Iterator[dict[str, Any]]:
        """Of the documents that are over by now, failed ones included."""

    def write(self, form: str, out: BinaryIO) -> int:
        """All of them, in a format of `formats.WRITERS`; returns how many there are."""

    @property
    def summary_column(self) -> str:
        """The column with the summaries."""


class Numbered(Listing, Protocol):
    """On the mill's own side, where the index of each row is known."""

    def numbered(self, after: int = -1) -> Iterator[tuple[int, dict[str, Any]]]:
        """The rows with the index of each; those above `after`."""


class Results(ResultColumns):
    """Result rows as they are."""

    summary_column = "summary"

    def __init__(self, database: Database, job_id: str) -> None:
        self._database = database
        self._job_id = job_id

    def rows(self) -> Iterator[dict[str, Any]]:
        return results.rows(self._database, self._job_id)

    def write(self, form: str, out: BinaryIO) -> int:
        return formats.WRITERS[form](self.rows(), out, self)

    def numbered(self, after: int = -1) -> Iterator[tuple[int, dict[str, Any]]]:
        for row in results.rows(self._database, self._job_id, after):
            yield row["index"], row


@contextmanager
def listing(
    database: Database,
    sources: Callable[[], Sources],
    job_id: str,
    *,
    join: bool,
    summary_column: str | None = None,
) -> Iterator[Numbered]:
    """`sources` opens what reads the source of a join, which is let go of at the end. See
    `joining.Joined`."""
    if not join:
        yield Results(database, job_id)
        return
    with closing(sources()) as opened:
        yield Joined(database, opened, job_id, summary_column)

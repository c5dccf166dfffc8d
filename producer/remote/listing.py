"""Rows of a job as a mill sends them. A connection that breaks off among result rows is made again
behind the last of them; a join is asked for anew by whoever wants it."""

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, BinaryIO

from jobs.errors import MillUnreachable
from jobs.settings import Timings
from producer import column_types, formats
from producer.formats import ResultColumns
from producer.listings import Listing
from producer.remote.connection import Connection

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]


class Results(ResultColumns):
    """Result rows."""

    summary_column = "summary"

    def __init__(self, connection: Connection, job_id: str, timings: Timings) -> None:
        self._connection = connection
        self._path = f"/v1/jobs/{job_id}/results"
        self._timings = timings

    def rows(self) -> Iterator[Row]:
        after: int | None = None
        seen = monotonic()
        while True:
            try:
                with self._connection.stream(self._path, format="ndjson", after=after) as pieces:
                    for line in _lines(pieces):
                        row = json.loads(line)
                        yield row
                        after, seen = row["index"], monotonic()
            except MillUnreachable:
                if after is None or monotonic() - seen >= self._timings.outage:
                    raise
                sleep(self._timings.poll)
            else:
                return

    def write(self, form: str, out: BinaryIO) -> int:
        return formats.WRITERS[form](self.rows(), out, self)


class Joined:
    """The rows of a join. Their values are those of JSON, until their types are asked for (by
    `schema` or `table`): then all are fetched as Parquet, and have them."""

    def __init__(
        self, connection: Connection, job_id: str, summary_column: str | None, folder: Path
    ) -> None:
        """`folder` is where the rows may lie for as long as this is used."""
        self._connection = connection
        self._path = f"/v1/jobs/{job_id}/results"
        self._asked = {"join": "true", "summary_column": summary_column}
        self._file = folder / "rows.parquet"

    @property
    def summary_column(self) -> str:
        if (asked := self._asked["summary_column"]) is not None:
            return asked
        names = list(self._first())
        # It and its error stand behind the source's own.
        return names[-2] if names else "summary"

    def rows(self) -> Iterator[Row]:
        if self._file.exists():
            yield from self._typed()
            return
        with self._stream("ndjson") as pieces:
            for line in _lines(pieces):
                yield json.loads(line)

    def write(self, form: str, out: BinaryIO) -> int:
        """The bytes that the mill sends."""
        if form == "parquet":
            from pyarrow.parquet import ParquetFile

            with self._fetched().open("rb") as file:
                shutil.copyfileobj(file, out)
            with ParquetFile(self._file) as parquet:
                return int(parquet.metadata.num_rows)
        count = _CountedLines()
        with self._stream("ndjson" if form == "jsonl" else form) as pieces:
            for piece in pieces:
                out.write(piece)
                count.add(piece, quoted=form == "csv")
        return count.lines - (form == "csv")

    def header(self) -> Sequence[str]:
        return [*self.schema().names]

    def fields(self, row: Row) -> Sequence[object]:
        return [formats.flat_value(row.get(name)) for name in self.header()]

    def table(self, rows: list[Row]) -> "pa.Table":
        return column_types.table(rows, self.schema(), set())

    def schema(self) -> "pa.Schema":
        from pyarrow.parquet import read_schema

        return read_schema(self._fetched())

    def _typed(self) -> Iterator[Row]:
        from pyarrow.parquet import ParquetFile

        with ParquetFile(self._file) as file:
            for batch in file.iter_batches(1000):
                yield from batch.to_pylist()

    def _fetched(self) -> Path:
        if not self._file.exists():
            unfinished = self._file.with_suffix(".part")
            with unfinished.open("wb") as file, self._stream("parquet") as pieces:
                for piece in pieces:
                    file.write(piece)
            unfinished.rename(self._file)
        return self._file

    def _first(self) -> Row:
        with self._connection.stream(self._path, format="ndjson", limit=1, **self._asked) as pieces:
            for line in _lines(pieces):
                row: Row = json.loads(line)
                return row
        return {}

    @contextmanager
    def _stream(self, form: str) -> Iterator[Iterator[bytes]]:
        with self._connection.stream(self._path, format=form, **self._asked) as pieces:
            yield pieces


@contextmanager
def joined(
    connection: Connection, job_id: str, summary_column: str | None, home: Path
) -> Iterator[Listing]:
    home.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=home, prefix=".rows.") as folder:
        yield Joined(connection, job_id, summary_column, Path(folder))


class _CountedLines:
    """Lines that have ended. In CSV those in a quoted text are none, and a quote in it is two."""

    def __init__(self) -> None:
        self.lines = 0
        self._quoted = False

    def add(self, piece: bytes, *, quoted: bool) -> None:
        if not quoted:
            self.lines += piece.count(b"\n")
            return
        for number, part in enumerate(piece.split(b'"')):
            self._quoted = self._quoted != (number > 0)
            if not self._quoted:
                self.lines += part.count(b"\n")


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Ended by a line feed alone: texts may hold what else Unicode takes for the end of one. What
    is not ended was cut off."""
    left = b""
    for piece in pieces:
        *lines, left = (left + piece).split(b"\n")
        yield from lines

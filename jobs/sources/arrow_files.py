"""Files as Arrow reads them: its errors told apart from those of the place that a file lies in."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from jobs.sources.opened import Opened, Unreadable

if TYPE_CHECKING:
    import pyarrow as pa


def check_columns(schema: "pa.Schema", opened: Opened) -> None:
    """Raises Unreadable where the text of its source is not there, or a column of it twice."""
    wanted = opened.source["columns"]
    if wanted["text"] not in schema.names:
        raise Unreadable(f"it has no column {wanted['text']!r}, as the first file has")
    for name in wanted.values():
        if schema.names.count(name) > 1:
            raise Unreadable(f"it has several columns {name!r}; rename all but one")


class ArrowFile(io.RawIOBase):
    """What is handed to Arrow in the place of a file. Arrow may close it; the file stays open."""

    def __init__(self, file: BinaryIO) -> None:
        # Arrow asks for as much as it wants at once: a buffer would only be in the way.
        self._file = getattr(file, "raw", file)
        self.failure: BaseException | None = None
        """Why the file could not be read, if so."""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def read(self, count: int = -1) -> bytes:
        try:
            return bytes(self._file.read(count))
        except BaseException as error:
            self.failure = error
            raise

    @contextmanager
    def decoded(self, kind: str) -> Iterator[None]:
        """In which Arrow's errors become Unreadable, and those of the file are raised as they
        were. `kind` is what it should be."""
        import pyarrow as pa

        try:
            yield
        except (MemoryError, UnicodeDecodeError):
            raise
        except (pa.ArrowException, OSError) as error:
            if self.failure is not None:
                raise self.failure from None
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise Unreadable(f"damaged, or not {kind} ({reason})") from None

"""Documents on their way to a mill: what a request has room for stands in it, more is uploaded as
it is read. Memory stays flat."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, BinaryIO

from jobs.errors import UsageError
from producer import formats
from producer.submit import many

_MOST_DOCUMENTS = 1000
_MOST_BYTES = 1_000_000
"""Of JSON: so much stands in the request itself."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Some documents, and whether these are all."""

    first: list[bytes]
    rest: Iterator[bytes]
    whole: bool

    def inline(self) -> list[Any]:
        return [json.loads(each) for each in self.first]

    def lines(self, text_column: str) -> "Lines":
        """All of them as JSON lines, a text in an object of its own."""
        return Lines(_object(each, text_column) for each in chain(self.first, self.rest))


def outgoing(items: object) -> Outgoing:
    """Texts and mappings. Raises UsageError for anything else, when it is read, and where there
    are none."""
    remaining = (_json(index, item) for index, item in enumerate(many(items)))
    first: list[bytes] = []
    size = 0
    for each in remaining:
        first.append(each)
        size += len(each)
        if len(first) >= _MOST_DOCUMENTS or size >= _MOST_BYTES:
            return Outgoing(first, remaining, whole=False)
    if not first:
        raise UsageError("the input holds no document; it is empty, or blank lines alone")
    return Outgoing(first, remaining, whole=True)


class Lines:
    """Pieces of bytes, to be read as a file."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._left = b""

    def read(self, size: int = -1, /) -> bytes:
        taken = [self._left]
        length = len(self._left)
        while (size < 0 or length < size) and (piece := next(self._pieces, b"")):
            taken.append(piece)
            length += len(piece)
        joined = b"".join(taken)
        cut = len(joined) if size < 0 else size
        self._left = joined[cut:]
        return joined[:cut]


class Unchanging:
    """A file that nobody may write to while it is sent: what came of that would be neither the
    old one nor the new one. Raises UsageError where it is read after somebody did."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        self._was = self._stamp()

    def fileno(self) -> int:
        return self._file.fileno()

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._file.seek(offset, whence)

    def read(self, size: int = -1, /) -> bytes:
        piece = self._file.read(size)
        if self._stamp() != self._was:
            raise UsageError(
                f"{self._name}: it changed while it was sent; submit one that nobody writes to"
            )
        return piece

    def _stamp(self) -> tuple[int, int]:
        status = os.fstat(self.fileno())
        return status.st_size, status.st_mtime_ns


def _json(index: int, item: object) -> bytes:
    if isinstance(item, Mapping):
        # As a mapping may be of any kind, and its keys too.
        item = {str(name): value for name, value in item.items()}
    elif not isinstance(item, str):
        kind = type(item).__name__
        raise UsageError(f"document {index} is {kind}; give strings, or mappings with a text")
    return formats.as_json(item).encode("utf-8", "surrogatepass")


def _object(written: bytes, text_column: str) -> bytes:
    if written.startswith(b"{"):
        return written + b"\n"
    return json.dumps(text_column).encode().join((b"{", b": ")) + written + b"}\n"

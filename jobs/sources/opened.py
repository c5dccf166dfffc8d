"""A file of a source that is open, what it holds, and what can be wrong with that."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, BinaryIO

from jobs.columns import Schema
from jobs.errors import JobError
from jobs.sources.located import File

LARGEST = 256 << 20
"""Bytes of one line, record or text: what is longer is none, and would fill the memory. A small
compressed file can hold any number."""


class Unreadable(ValueError):
    """What is in a file is not what its kind says: damaged, cut off, or of another kind.

    The message says what is wrong; whoever opened the file adds its name.
    """


UTF_16 = (b"\xff\xfe", b"\xfe\xff")
"""What such files begin with."""
IS_UTF_16 = "it is UTF-16; convert it, as in: iconv -f UTF-16 -t UTF-8"


@dataclass(frozen=True, slots=True)
class Described:
    """What a kind found in a file."""

    schema: Schema


@dataclass
class Opened:
    """A file, open for bytes: those that it holds, where it is compressed.

    Of a compressed file `seek` reads on, or begins anew; it is cheap from where the last read
    ended.
    """

    name: str
    """For messages: without secrets."""
    file: BinaryIO
    stamped: File
    """As it is to be stored."""
    source: Mapping[str, Any] = field(default_factory=dict)
    """As it is stored with the job; empty until it is described."""
    compressed: bool = False
    cursor: Any = None
    """For what reads it, to go on where it ended. Closed with the file, where it can be."""

    @property
    def worth_keeping(self) -> bool:
        """Whether the next read is cheaper if it stays open."""
        return self.cursor is not None or self.compressed

    def close(self) -> None:
        if hasattr(self.cursor, "close"):
            self.cursor.close()
        self.file.close()


def pieces(file: BinaryIO) -> Iterator[bytes]:
    """Its lines from where it is, with their ends; the beginning of one that is longer than
    LARGEST, which whoever asks must look for."""
    return iter(partial(file.readline, LARGEST + 1), b"")


def lines(file: BinaryIO, first: int = 1) -> Iterator[bytes]:
    """The same; raises Unreadable for one that is too long. `first` is the number of the first."""
    for number, line in enumerate(pieces(file), first):
        if len(line) > LARGEST:
            raise too_long(number)
        yield line


def too_long(line: int) -> Unreadable:
    return Unreadable(f"line {line} is longer than {LARGEST >> 20} MiB")


def changed(name: str) -> JobError:
    return JobError("source_changed", f"{name} changed after it was submitted; submit it again")

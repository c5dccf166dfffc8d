"""What gzip and Zstandard files hold, as files that are read on from where the last read ended.

Neither can be entered in the middle: to come to a place, all before it is decompressed. So
`seek` reads up to a place further on, and for one further back begins anew. Memory stays flat.
"""

import io
import os
from pathlib import PurePosixPath
from typing import Any, BinaryIO, cast

from jobs.sources.arrow_files import ArrowFile

_CODECS = {".gz": "gzip", ".zst": "zstd"}

# Decompressed at once: many lines, and little to hold.
_BLOCK = 1 << 18


def codec(name: str) -> str | None:
    """What a file is compressed with, by its name; None for nothing."""
    return _CODECS.get(PurePosixPath(name.lower()).suffix)


def plain(file: BinaryIO, codec: str) -> BinaryIO:
    """The bytes that a compressed file holds. Reading raises Unreadable where it is damaged."""
    return cast(BinaryIO, io.BufferedReader(_Decompressed(file, codec), _BLOCK))


class _Decompressed(io.RawIOBase):
    def __init__(self, file: BinaryIO, codec: str) -> None:
        self._file = file
        self._codec = codec
        self._begin()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence != os.SEEK_SET:
            raise io.UnsupportedOperation("its end is not known")
        if offset < self._at:
            self._file.seek(0)
            self._begin()
        while self._at < offset and self.read(min(_BLOCK, offset - self._at)):
            pass
        return self._at

    def readinto(self, buffer: Any) -> int:
        with self._source.decoded(self._codec):
            count: int = self._stream.readinto(buffer)
        self._at += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()

    def _begin(self) -> None:
        import pyarrow as pa

        self._source = ArrowFile(self._file)
        self._stream = pa.CompressedInputStream(pa.PythonFile(self._source, mode="r"), self._codec)
        self._at = 0

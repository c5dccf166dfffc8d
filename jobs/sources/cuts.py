"""Which documents of a source are wanted, and how many of them the next shard is to hold."""

from collections.abc import Iterator


class Cuts:
    """One for all files of a source, which are cut one after the other.

    Whoever cuts a file asks `skip` before its first document, `size` before each shard, and
    says each shard that it made with `made`.
    """

    def __init__(self, sizes: Iterator[int], rows: tuple[int, int | None] = (0, None)) -> None:
        first, stop = rows
        self._sizes = sizes
        self._skip = first
        self._left = None if stop is None else max(0, stop - first)

    @property
    def over(self) -> bool:
        """Whether no further document is wanted."""
        return self._left == 0

    @property
    def skipping(self) -> bool:
        """Whether documents are to be left out before the next shard."""
        return self._skip > 0

    def skip(self, there: int) -> int:
        """How many of the next `there` documents to leave out."""
        skipped = min(self._skip, there)
        self._skip -= skipped
        return skipped

    def size(self) -> int:
        """Documents of the next shard, if there are so many; 0 where no more are wanted."""
        size = next(self._sizes)
        return size if self._left is None else min(size, self._left)

    def made(self, documents: int) -> None:
        if self._left is not None:
            self._left -= documents

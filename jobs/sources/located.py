"""What a place says of a location: which files there are, before any of them is opened."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

File = dict[str, Any]
"""A file as it is stored, with its job or with a shard's position: the key of its place (`path`,
`url`) says where it is; all else is its stamp, by which it is known again, `size` (bytes) among
it. Of a file that was only found so far there is no stamp."""


Rows = tuple[int, int | None]
"""Of all documents in the files, one after the other: the first, and where to stop."""

Count = Callable[[Sequence[File]], int]
"""How many documents files hold."""


def _all(count: Count) -> Rows:  # noqa: ARG001 - of a slice
    return 0, None


@dataclass(frozen=True, slots=True)
class Located:
    """The files of a location, in the order in which their documents are numbered."""

    files: Sequence[File]
    pattern: str | None = None
    """What they were found by, a folder or a pattern, in which there may be others than those
    that are meant; None where one file was named."""
    kind: str | None = None
    """Where the place knows of what kind they are."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Of all of them, for the source to be stored with; each file is opened with them."""
    rows: Callable[[Count], Rows] = _all
    """Which documents are wanted. Asks to count some of the files only where it needs to."""

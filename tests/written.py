"""Result rows without a job, to be saved: `results.save` takes who writes them."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, BinaryIO

from producer import formats


def written(rows: Iterable[dict[str, Any]]) -> Callable[[str, BinaryIO], int]:
    return partial(_write, rows)


def _write(rows: Iterable[dict[str, Any]], form: str, out: BinaryIO) -> int:
    return formats.WRITERS[form](rows, out)

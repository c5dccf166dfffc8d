"""What a side of the comparison is: token ids in, token ids out.

A side holds one loaded model. `textbook` and `sorted` are transformers' `generate`, `native` is
gistmill's own loop (`benchmarks.engines.own`); `continuous` is transformers' continuous batching
(`benchmarks.engines.continuous`), `peer` is CTranslate2 (`benchmarks.engines.peer`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Documents = Sequence[list[int]]
SIDES = ("textbook", "sorted", "native", "continuous", "peer")
Dtype = Literal["float32", "bfloat16", "int8"]


@dataclass(frozen=True)
class Load:
    """What a side is to hold. It goes to the side's process as JSON."""

    side: str
    dtype: Dtype
    model: str
    """A folder, or the name of a model as a job names it."""
    home: str
    """Where models are kept that have to be converted first."""
    threads: int
    generation: dict[str, Any]
    """GenerationConfig fields."""


class Side(Protocol):
    def tune(self, documents: Documents) -> str:
        """Find the best settings on these documents; what they are, in a few words."""
        ...

    def run(self, documents: Documents) -> list[list[int]]:
        """New tokens of each document, in their order, without the end token."""
        ...

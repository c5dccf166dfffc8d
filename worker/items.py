"""What goes through the model, and what comes of it.

The model knows no documents: it is given items, each a document or a part of one, in batches
that care for neither.
"""

from dataclasses import dataclass
from typing import Literal

from jobs.documents import Document, storable
from worker.engines import Encoded, Generated


@dataclass(frozen=True, slots=True)
class Place:
    """Which part of a text an item is: characters `start <= place < stop` of it."""

    number: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Item:
    """A document, or a part of one, on its way through the model."""

    shard_id: int
    document: Document
    encoded: Encoded
    depth: int = 0
    """0 where it is of the document's own text, 1 where of the summaries of its parts, ..."""
    part: Place | None = None
    """None where it is all there is at this depth: its summary is the document's."""
    digest: str | None = None
    """Of a whole document that may share its summary: see `worker.same_text`."""

    @property
    def key(self) -> tuple[int, int]:
        """The document's: shard and index."""
        return self.shard_id, self.document.index

    @property
    def seed_of(self) -> tuple[int, ...]:
        """What its seed is made from, beside the job's: of a whole document its index alone."""
        if self.part is not None:
            return self.document.index, self.depth, self.part.number
        return (self.document.index, self.depth) if self.depth else (self.document.index,)


@dataclass(frozen=True, slots=True)
class Written:
    """What the model wrote for an item."""

    text: str
    tokens: int
    """The end token among them."""
    finish_reason: Literal["stop", "length"]


def written(generated: Generated, text: str) -> Written:
    return Written(storable(text), generated.tokens, generated.finish_reason)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an item, or a batch, was not done. Not the exception itself: with its traceback it
    would keep the memory that the next, smaller batch needs."""

    code: str
    message: str
    memory: bool = False
    """Whether a smaller batch would need less of what there was too little of."""


Outcome = Written | Refusal

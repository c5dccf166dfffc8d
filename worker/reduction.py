"""A document that is longer than the model takes, from its parts to its summary.

Its parts are summarized, and what they come to, one after the other, is a text that is summarized
like a document: in parts, if it is too long, and so on. Where that does not get shorter it is cut,
and the row says so. Knows no SQL and no batches; whoever has items of it done gives back what the
model wrote.
"""

from collections.abc import Iterable, Sequence

from jobs.documents import Document
from jobs.job import Part, Row
from jobs.parameters import Effective
from worker import long_documents, rows
from worker.engines import Encoded, Engine
from worker.items import Item, Place, Written
from worker.long_documents import Piece


class Reduction:
    """One document. `kept` are parts that were done before, by whomever."""

    def __init__(
        self,
        engine: Engine,
        effective: Effective,
        shard_id: int,
        document: Document,
        kept: Iterable[Part] = (),
    ) -> None:
        self._engine = engine
        self._effective = effective
        self._shard_id = shard_id
        self._document = document
        self._kept = {(part.depth, part.part): part for part in kept}
        self._depth = 0
        self._spans: list[tuple[int, int]] | None = None
        self._summaries: list[str | None] = []
        self._read = 0
        self._written = 0
        self._truncated = False

    @property
    def key(self) -> tuple[int, int]:
        """Shard and index, as of its items."""
        return self._shard_id, self._document.index

    def begin(self) -> list[Item] | Row:
        """What the model has to do first; the row where nothing is left to do."""
        pieces = long_documents.pieces(self._engine, self._document.text or "", self._effective)
        if len(pieces) == 1:
            return self._whole(pieces[0].encoded)
        self._spans = [(piece.start, piece.stop) for piece in pieces]
        return self._in_parts(pieces)

    def again(self, shard_id: int, document: Document) -> "Reduction":
        """Of another document with the same text, from the beginning."""
        return Reduction(self._engine, self._effective, shard_id, document)

    def take(self, item: Item, written: Written) -> list[Item] | Row:
        """What the model has to do next; nothing where more of this depth is awaited, and the row
        at the end."""
        self._count(item.encoded.tokens, written.tokens, item.encoded.truncated)
        if item.part is None:
            return self._row(written.text, written.finish_reason)
        self._summaries[item.part.number] = written.text
        return self._next()

    def _next(self) -> list[Item] | Row:
        done = [summary for summary in self._summaries if summary is not None]
        if len(done) < len(self._summaries):
            return []
        text = long_documents.join(done)
        if not text:
            return self._row("", "stop")
        self._depth += 1
        [whole] = self._engine.encode([text], self._effective)
        if whole.truncated:
            pieces = long_documents.pieces(self._engine, text, self._effective)
            if 1 < len(pieces) < len(self._summaries):
                return self._in_parts(pieces)
        return self._whole(whole)

    def _whole(self, encoded: Encoded) -> list[Item]:
        return [Item(self._shard_id, self._document, encoded, self._depth)]

    def _in_parts(self, pieces: Sequence[Piece]) -> list[Item] | Row:
        self._summaries = [None] * len(pieces)
        items = []
        for number, piece in enumerate(pieces):
            place = Place(number, piece.start, piece.stop)
            kept = self._kept.get((self._depth, number))
            if kept is not None and (kept.start, kept.stop) == (piece.start, piece.stop):
                self._summaries[number] = kept.summary
                self._count(kept.input_tokens, kept.output_tokens, kept.truncated)
            else:
                item = Item(self._shard_id, self._document, piece.encoded, self._depth, place)
                items.append(item)
        return items or self._next()

    def _count(self, read: int, written: int, truncated: bool) -> None:
        self._read += read
        self._written += written
        self._truncated = self._truncated or truncated

    def _row(self, summary: str, finish_reason: str) -> Row:
        return rows.done(
            self._document,
            summary,
            finish_reason,
            input_tokens=self._read,
            output_tokens=self._written,
            truncated=self._truncated,
            depth=self._depth,
            spans=self._spans,
        )


def part(item: Item, place: Place, written: Written) -> Part:
    """A part of a document, as it is kept."""
    return Part(
        index=item.document.index,
        depth=item.depth,
        part=place.number,
        start=place.start,
        stop=place.stop,
        summary=written.text,
        input_tokens=item.encoded.tokens,
        output_tokens=written.tokens,
        truncated=item.encoded.truncated,
    )

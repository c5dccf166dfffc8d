"""Where a text is cut that is longer than the model takes.

Pure: a text and an engine's tokens in, pieces out. Each piece, with the prompt and the template
around it, is at most `max_input_tokens` long, as the engine counts. Pieces end at sentence ends,
and the next one begins with the last sentences of the one before. Which sentences these are is
Unicode's matter (UAX 29), and the package's: semantic-text-splitter.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from semantic_text_splitter import TextSplitter

from jobs.parameters import Effective
from worker.engines import Encoded, Engine

_OVERLAP = 8
"""A piece repeats at most one part in so many of what the one before may hold, in whole
sentences: none where they are longer."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Characters `start <= place < stop` of a text, ready for the model."""

    start: int
    stop: int
    encoded: Encoded


def pieces(engine: Engine, text: str, effective: Effective) -> list[Piece]:
    """All of `text` but white space, in order; one piece where that is enough.

    Where not even one character has room beside the prompt, one piece that is truncated.
    """
    limit = effective.max_input_tokens
    whole = _uncut(effective)
    if limit is not None:
        tokens = engine.token_spans(text)
        room = limit - engine.encode([""], whole)[0].tokens
        while room > 0:
            found = spans(text, tokens, room)
            encoded = engine.encode([text[start:stop] for start, stop in found], whole)
            longest = max(each.tokens for each in encoded)
            if longest <= limit:
                return [Piece(*span, each) for span, each in zip(found, encoded, strict=True)]
            # The first word may take more tokens than in mid-sentence, and so may a mark of the
            # model's own, which is not to be taken for one.
            room = min(room - 1, room * limit // longest)
    return [Piece(0, len(text), engine.encode([text], effective)[0])]


def spans(text: str, tokens: Sequence[tuple[int, int]], room: int) -> list[tuple[int, int]]:
    """Where pieces of at most `room` tokens start and stop, as characters; `tokens` is where those
    of `text` do."""
    measure = _Measure(text, tokens)
    splitter = TextSplitter.from_callback(measure, room, overlap=room // _OVERLAP)
    return [(start, start + len(piece)) for start, piece in splitter.chunk_indices(text)]


def join(summaries: Iterable[str]) -> str:
    """One text of summaries, each on a line of its own; empty where all of them are."""
    return "\n".join(summary for summary in summaries if summary.strip())


def too_long(engine: Engine, text: str, effective: Effective) -> str:
    """What is wrong with a text that is not to be cut."""
    [whole] = engine.encode([text], _uncut(effective))
    return (
        f"{whole.tokens:,} tokens, and {effective.max_input_tokens:,} is the most that the model "
        "reads; choose --long-documents truncate or map-reduce"
    )


def count(tokens: int, limit: int, frame: int) -> int:
    """Into how many pieces a text of so many tokens is cut, about; `frame` of them, and of
    `limit`, are the prompt's."""
    room = max(1, limit - frame)
    overlap = room // _OVERLAP
    return max(1, -(-(tokens - frame - overlap) // (room - overlap)))


class _Measure:
    """How many tokens a piece of the text has, for the splitter, which asks 20 times as much as
    there is: looked up where the piece lies, and not tokenized again."""

    def __init__(self, text: str, tokens: Sequence[tuple[int, int]]) -> None:
        self._text = text
        self._starts = [start for start, _ in tokens]
        self._stops = [stop for _, stop in tokens]
        self._last = 0

    def __call__(self, piece: str) -> int:
        start = self._text.find(piece, self._last)
        if start < 0:
            start = self._text.find(piece)
        self._last = start
        return bisect_left(self._starts, start + len(piece)) - bisect_right(self._stops, start)


def _uncut(effective: Effective) -> Effective:
    return effective.model_copy(update={"max_input_tokens": None})

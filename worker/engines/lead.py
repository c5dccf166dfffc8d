"""The first N sentences of a document: `--model lead-3`.

The baseline that every summarization paper reports, and a way to run the whole
mill without a model. It brings its own tokenizer, one id for each character
(code point), and reports words as tokens. It generates nothing: no prompt, no
beams, no sampling.
"""

import re
from collections.abc import Sequence
from itertools import islice

from jobs.parameters import Effective
from worker.engines import Encoded, Generated

_SENTENCE = re.compile(r"(?=\S).*?(?:[.!?](?=\s)|$)", re.MULTILINE)
"""From a visible character to the end of its line, or to `.!?` before white space."""
_WORD = re.compile(r"\S+")


class LeadEngine:
    """`sentences` is the N of lead-N."""

    name = "lead"
    max_num_batched_tokens: int | None = None

    def __init__(self, sentences: int, max_num_seqs: int = 256) -> None:
        self.max_num_seqs = max_num_seqs
        self._sentences = sentences

    def seqs_per_document(self, effective: Effective) -> int:  # noqa: ARG002 - the protocol's
        return 1

    def encode(self, texts: Sequence[str], effective: Effective) -> list[Encoded]:
        """One id per character; `effective.max_input_tokens` counts words."""
        return [_encode(text, effective.max_input_tokens) for text in texts]

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        return [word.span() for word in _WORD.finditer(text)]

    def generate(
        self,
        batch: Sequence[list[int]],
        effective: Effective,  # noqa: ARG002 - the Engine protocol's; nothing here can be set
        seeds: Sequence[int],  # noqa: ARG002 - and nothing is drawn
    ) -> list[Generated]:
        """The characters of the first sentences; always ends by itself ("stop")."""
        return [self._generate(ids) for ids in batch]

    def decode(self, generated: Sequence[Generated]) -> list[str]:
        return ["".join(map(chr, each.ids)).strip() for each in generated]

    def _generate(self, ids: list[int]) -> Generated:
        lead = first_sentences("".join(map(chr, ids)), self._sentences)
        return Generated(list(map(ord, lead)), len(lead.split()), "stop")


def first_sentences(text: str, count: int) -> str:
    """The first `count` sentences, one space between them.

    A sentence ends at a newline, or at `.`, `!` or `?` before white space: crude,
    but the same on every machine.
    """
    found = islice(_SENTENCE.finditer(text), count)
    return " ".join(match.group().rstrip() for match in found)


def _encode(text: str, max_words: int | None) -> Encoded:
    words = len(text.split())
    if max_words is None or words <= max_words:
        return Encoded(list(map(ord, text)), words, truncated=False)
    last = next(islice(_WORD.finditer(text), max_words - 1, None))
    return Encoded(list(map(ord, text[: last.end()])), max_words, truncated=True)

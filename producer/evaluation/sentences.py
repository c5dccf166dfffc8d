"""Where a sentence ends: at a newline, or at `.`, `!` or `?` before white space.

Crude, but the same on every machine, and the same as the worker's engine `lead`, which the
producer may not import.
"""

import re
from itertools import islice

_SENTENCE = re.compile(r"(?=\S).*?(?:[.!?](?=\s)|$)", re.MULTILINE)


def sentences(text: str) -> list[str]:
    return [match.group().rstrip() for match in _SENTENCE.finditer(text)]


def lead(text: str, count: int = 3) -> str:
    """The first sentences of `text`: what any summary has to beat."""
    found = islice(_SENTENCE.finditer(text), count)
    return " ".join(match.group().rstrip() for match in found)


def lines(text: str) -> str:
    """A sentence a line, as rouge-score wants it for `rougeLsum`."""
    return "\n".join(sentences(text))

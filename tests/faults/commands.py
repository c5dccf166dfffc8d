"""`gistmill submit` as scenarios give it: documents from standard input, one on each line."""

from collections.abc import Iterable

from tests.faults.ledger import Entry

SUBMIT = ("submit", "-", "--lines", "--model", "lead-1", "--shard-size", "8", "--quiet")


def lines(entries: Iterable[Entry]) -> str:
    return "".join(f"{entry.text}\n" for entry in entries)

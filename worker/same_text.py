"""The same text once: which documents have it, and whose summary they get.

A digest is of a text and of all that makes a summary of it: model, revision, engine, dtype,
prompt and parameters, but for the seed, which decides nothing where nothing is sampled. Documents
of a window with the same digest are done once: the first, or the one that a worker died with, is
the original, and its row is copied to the others, failed or not. Knows no SQL.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b

from jobs.documents import Document
from jobs.job import ModelKey, Row
from jobs.parameters import Effective

# Raise it when what is not in the digest changes summaries.
_VERSION = 1

Key = tuple[int, int]
"""A document's: the id of its shard, and its index."""


class Digests:
    """Of texts that are summarized with one model and the same parameters."""

    def __init__(self, key: ModelKey, effective: Effective) -> None:
        made_with = [_VERSION, asdict(key), effective.model_dump(mode="json", exclude={"seed"})]
        # 16 bytes: so many that nobody finds a text with the digest of another's.
        self._begun = blake2b(json.dumps(made_with, sort_keys=True).encode(), digest_size=16)

    def of(self, text: str) -> str:
        """32 hexadecimal digits."""
        digest = self._begun.copy()
        digest.update(b"\n" + text.encode(errors="surrogatepass"))
        return digest.hexdigest()


def may_share(effective: Effective) -> bool:
    """Whether the same text always gets the same summary: not where it is sampled."""
    return not effective.generation.get("do_sample")


def copy(row: Row, document: Document) -> Row:
    """The row of a document with the same text."""
    copied = replace(row, index=document.index, id=document.id, reference=document.reference)
    if row.error_message is None:
        return replace(copied, reused=True)
    said = row.error_message.removeprefix(f"document {row.index}")
    return replace(copied, error_message=f"document {document.index}{said}")


@dataclass
class SameText:
    """Of one window: the digests of its documents, and which wait for another one's row."""

    digests: dict[Key, str] = field(default_factory=dict)
    """Of documents that may share; the others' rows are nobody else's."""
    copies: dict[Key, list[tuple[int, Document]]] = field(default_factory=dict)
    """By original: the shard's id and the document of each one that waits for it."""
    made: dict[str, Row] = field(default_factory=dict)
    """By digest, the summaries that were made in this window."""

    def find(self, shard_id: int, documents: Sequence[tuple[Document, str]]) -> None:
        raise NotImplementedError

    def rows(self, key: Key, row: Row) -> list[tuple[int, Row]]:
        """What an original's row comes to: itself and those of its copies, by shard."""
        digest = self.digests.get(key)
        if digest is not None and row.error_code is None:
            row = self.made[digest] = replace(row, digest=digest)
        waiting = self.copies.pop(key, [])
        return [(key[0], row), *((shard_id, copy(row, each)) for shard_id, each in waiting)]

    def heir(self, key: Key, gone: Collection[int]) -> tuple[int, Document] | None:
        """Whose turn it is where the original's shard is given up: it becomes the original."""
        raise NotImplementedError

"""The same text once: which documents have it, and whose summary they get.

A digest is of a text and of all that makes a summary of it: model, revision, engine, dtype,
prompt and parameters, but for the seed, which decides nothing where nothing is sampled. Documents
of a window with the same digest are done once: the first, or the one that a worker died with, is
the original, and its row is copied to the others, failed or not. Knows no SQL.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from itertools import chain

from jobs.documents import Document
from jobs.job import ModelKey, Row, Shard
from jobs.parameters import Effective

# Raise it when what is not in the digest changes summaries.
_VERSION = 1

Key = tuple[int, int]
"""A document's: the id of its shard, and its index."""


def may_share(shard: Shard) -> bool:
    """Whether its documents may have the summaries of others."""
    return shard.reuse and always_the_same(shard.effective)


def always_the_same(effective: Effective) -> bool:
    """Whether a text always gets the same summary: not where it is sampled."""
    return not effective.generation.get("do_sample")


class Digests:
    """Of texts that are summarized with one model and the same parameters."""

    def __init__(self, key: ModelKey, effective: Effective) -> None:
        made_with = [_VERSION, asdict(key), effective.model_dump(mode="json", exclude={"seed"})]
        # 16 bytes: enough that nobody finds a text with the digest of another's.
        self._begun = blake2b(json.dumps(made_with, sort_keys=True).encode(), digest_size=16)

    def of(self, text: str) -> str:
        """16 bytes, as hexadecimal digits."""
        digest = self._begun.copy()
        digest.update(b"\n" + text.encode(errors="surrogatepass"))
        return digest.hexdigest()


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
    """Of documents that may share; the rows of others are nobody else's."""
    made: dict[str, Row] = field(default_factory=dict)
    """By digest, the rows with a summary that the window came to."""
    _originals: dict[str, Key] = field(default_factory=dict)
    _waiting: dict[Key, list[tuple[int, Document]]] = field(default_factory=dict)
    """By original: the shard's id and the document of each one that waits for it."""

    def know(self, shard: Shard, documents: Iterable[Document]) -> None:
        """Documents of a shard that may share. All shards have the same model and parameters."""
        digests = Digests(shard.key, shard.effective)
        for document in documents:
            self.digests[shard.id, document.index] = digests.of(document.text or "")

    def divide(
        self, shard: Shard, documents: Sequence[Document], stored: Mapping[str, Row]
    ) -> tuple[list[Row], list[Document]]:
        """Rows of those whose summary is stored, and those that are to be done. The others wait."""
        found: list[Row] = []
        originals: list[Document] = []
        # What a worker died with is the original: it is done alone, and the others are not done.
        for document in sorted(documents, key=lambda each: each.index not in shard.suspects):
            key = shard.id, document.index
            digest = self.digests[key]
            if digest in stored:
                found.append(copy(stored[digest], document))
            elif (original := self._originals.setdefault(digest, key)) != key:
                self._waiting.setdefault(original, []).append((shard.id, document))
            else:
                originals.append(document)
        return found, originals

    def waiting(self) -> list[tuple[int, Document]]:
        """Shard and document of each one that waits for another one's row."""
        return list(chain(*self._waiting.values()))

    def rows(self, key: Key, row: Row) -> list[tuple[int, Row]]:
        """A row with its shard, and those of the documents that waited for it."""
        digest = self.digests.get(key)
        if digest is not None and row.error_code is None:
            row = self.made[digest] = row if row.digest else replace(row, digest=digest)
        waited = self._waiting.pop(key, [])
        return [(key[0], row), *((shard_id, copy(row, each)) for shard_id, each in waited)]

    def give_up(self, shard_ids: Collection[int]) -> list[tuple[Key, int, Document]]:
        """Nothing more is done of these shards. Of each original that is gone, one that waited for
        it takes its place: its shard and the document."""
        heirs = []
        for key, waiting in list(self._waiting.items()):
            del self._waiting[key]
            left = [each for each in waiting if each[0] not in shard_ids]
            if left and key[0] in shard_ids:
                (shard_id, document), *left = left
                heirs.append((key, shard_id, document))
                key = shard_id, document.index
            if left:
                self._waiting[key] = left
        return heirs

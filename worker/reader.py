"""From leases to a window: read the documents, find those that were summarized before, prompt and
tokenize the others, and cut those too long.

Beside the model where it can: what a window needs is ready when the one before is done. A
shard that can not be read is given up here, and the others of its window go on.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from jobs.database import Database
from jobs.documents import Document
from jobs.errors import JobError
from jobs.job import Part, Portion, Row, Shard
from jobs.parameters import Effective
from jobs.settings import Timings
from jobs.sources import Sources
from jobs.store import parts, summaries
from worker import long_documents, rows, same_text, window
from worker.engines import Engine
from worker.heartbeat import Heartbeat
from worker.items import Item
from worker.leases import Leases
from worker.reduction import Reduction
from worker.same_text import Key, SameText
from worker.window import Window

# A document that so many workers died of, each with nothing else in hand, is not tried again;
# nor is a job for which so many in a row died before they had begun a batch.
_DEATHS = 3

# So many machines in a row may vanish before they have begun a batch. Most do so for reasons of
# their own; but one that is ended for the memory that a model takes, is ended again and again.
_VANISHED = 10


@dataclass(slots=True)
class Unread:
    """Of a shard: rows of what needs no model, and documents that are to be tokenized."""

    shard: Shard
    rows: list[Row]
    documents: list[Document]


@dataclass(frozen=True, slots=True)
class Read:
    """Of a shard's documents: rows of those that end here, and what the model has to do."""

    rows: list[Row] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    reductions: dict[Key, Reduction] = field(default_factory=dict)
    """Of documents that are done in parts, by shard and index."""

    def reduce(self, document: Reduction) -> None:
        first = document.begin()
        if isinstance(first, Row):
            self.rows.append(first)
            return
        self.items.extend(first)
        self.reductions[document.key] = document


class Reader:
    """Makes windows of leased shards."""

    def __init__(
        self,
        *,
        database: Database,
        leases: Leases,
        heartbeat: Heartbeat,
        timings: Timings,
        sources: Sources,
    ) -> None:
        self._database = database
        self._leases = leases
        self._heartbeat = heartbeat
        self._timings = timings
        self._sources = sources

    def window(self, engine: Engine, together: Sequence[Shard]) -> Window:
        """Raises DatabaseUnreachable."""
        first = together[0]
        unread = self._open_all(together)
        same = self._same_text(unread)
        read: list[Shard] = []
        items: list[Item] = []
        reductions: dict[Key, Reduction] = {}
        for each in unread.values():
            found = self._leases.answer_for([each.shard], partial(self._read, engine, each, same))
            if found is None:
                for _, heir, document in same.give_up([each.shard.id]):
                    unread[heir].documents.append(document)
                continue
            for row in found.rows:
                for shard_id, its in same.rows((each.shard.id, row.index), row):
                    unread[shard_id].rows.append(its)
            items += found.items
            reductions |= found.reductions
            read.append(each.shard)
        busy = {item.shard_id for item in items}.union(shard_id for shard_id, _ in same.waiting())
        return Window(
            key=first.key,
            effective=first.effective,
            alone=first.alone,
            shards=read,
            set_aside=_portions([unread[shard.id] for shard in read], busy),
            items=items,
            bounds=window.bounds(engine, first.effective, first.deaths),
            suspects=first.suspects,
            reductions=reductions,
            same=same,
        )

    def _open_all(self, together: Sequence[Shard]) -> dict[int, Unread]:
        """By shard, those that can be read."""
        found = {}
        for shard in together:
            unread = self._leases.answer_for([shard], partial(self._open, shard))
            if unread is not None:
                found[shard.id] = unread
        return found

    def _open(self, shard: Shard) -> Unread:
        _refuse_endless(shard)
        # A disk that never answers must not hold it for ever.
        with self._heartbeat.deadline(self._timings.batch_deadline):
            return Unread(shard, *_set_aside(shard, self._unfinished(shard)))

    def _same_text(self, unread: Mapping[int, Unread]) -> SameText:
        """Leaves each shard what is to be done of it, and gives it the rows that are there."""
        same = SameText()
        sharing = [each for each in unread.values() if same_text.may_share(each.shard)]
        for each in sharing:
            same.know(each.shard, each.documents)
        if not same.digests:
            return same
        with self._database.transaction() as tx:
            stored = summaries.same(tx, set(same.digests.values()))
        for each in sharing:
            reused, each.documents = same.divide(each.shard, each.documents, stored)
            each.rows += reused
        return same

    def _read(self, engine: Engine, unread: Unread, same: SameText) -> Read:
        shard = unread.shard
        kept = self._kept(shard)
        # Nor a chat template or a tokenizer.
        with self._heartbeat.deadline(self._timings.batch_deadline):
            texts = [document.text or "" for document in unread.documents]
            encoded = engine.encode(texts, shard.effective) if texts else []
            found = Read()
            for document, ids in zip(unread.documents, encoded, strict=True):
                if not ids.truncated or shard.effective.long_documents == "truncate":
                    digest = same.digests.get((shard.id, document.index))
                    found.items.append(Item(shard.id, document, ids, digest=digest))
                elif shard.effective.long_documents == "fail":
                    found.rows.append(_too_long(engine, document, shard.effective))
                else:
                    found.reduce(
                        Reduction(engine, shard.effective, shard.id, document, kept[document.index])
                    )
        return found

    def _kept(self, shard: Shard) -> dict[int, list[Part]]:
        """Parts that were done before, by document."""
        found: dict[int, list[Part]] = defaultdict(list)
        if shard.effective.long_documents == "map-reduce":
            with self._database.transaction() as tx:
                for part in parts.kept(tx, shard.job_id, shard.start, shard.stop):
                    found[part.index].append(part)
        return found

    def _unfinished(self, shard: Shard) -> list[Document]:
        documents = self._sources.read(shard)
        with self._database.transaction() as tx:
            done = summaries.done(tx, shard.job_id, shard.start, shard.stop)
        return [document for document in documents if document.index not in done]


def _portions(read: Sequence[Unread], busy: Collection[int]) -> list[Portion]:
    """What needs no model, and the shards of which nothing else is left."""
    return [
        Portion(each.shard, each.rows, done=each.shard.id not in busy)
        for each in read
        if each.rows or each.shard.id not in busy
    ]


def _refuse_endless(shard: Shard) -> None:
    """Raises JobError where workers die of something else than the documents in hand.

    Before anything is read, so that whatever reading raises can not go on for ever.
    """
    if shard.false_starts >= _DEATHS:
        raise JobError(
            "worker_died",
            f"{shard.false_starts} workers died in a row before they could begin a batch; their "
            "logs say why, or the model needs more memory than there is",
        )
    if shard.vanished >= _VANISHED:
        raise JobError(
            "worker_died",
            f"{shard.vanished} workers in a row were gone, with all that ran beside them, before "
            "they could begin a batch; the model may need more memory than their machines have",
        )


def _too_long(engine: Engine, document: Document, effective: Effective) -> Row:
    message = long_documents.too_long(engine, document.text or "", effective)
    return rows.failed(document, "too_long", f"document {document.index} has {message}")


def _set_aside(shard: Shard, documents: Sequence[Document]) -> tuple[list[Row], list[Document]]:
    """Rows for what can not be summarized, and the documents that can."""
    bad, good = [], []
    deadly: dict[str | None, Row] = {}
    for document in documents:
        alone = shard.suspects.get(document.index, 0)
        if document.error is not None:
            bad.append(rows.failed(document, document.error.code, document.error.message))
        elif alone >= _DEATHS:
            died = f"in hand, alone, each of the {alone} times a worker died"
            message = f"document {document.index}: {died}"
            bad.append(rows.failed(document, "worker_died", message))
            deadly[document.text] = bad[-1]
        else:
            good.append(document)
    if not same_text.may_share(shard):
        return bad, good
    # The others with that text would end as many workers, one after the other.
    bad += [same_text.copy(deadly[each.text], each) for each in good if each.text in deadly]
    return bad, [each for each in good if each.text not in deadly]

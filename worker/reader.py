"""From leases to a window: read, prompt and tokenize the documents, and cut those too long.

Beside the model where it can: what a window needs is ready when the one before is done. A
shard that can not be read is given up here, and the others of its window go on.
"""

from collections import defaultdict
from collections.abc import Sequence
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
from worker import long_documents, rows, window
from worker.engines import Engine
from worker.heartbeat import Heartbeat
from worker.items import Item
from worker.leases import Leases
from worker.reduction import Reduction
from worker.window import Window

# A document that so many workers died of, each with nothing else in hand, is not tried again;
# nor is a job for which so many in a row died before they had begun a batch.
_DEATHS = 3

# So many machines in a row may vanish before they have begun a batch. Most do so for reasons of
# their own; but one that is ended for the memory that a model takes, is ended again and again.
_VANISHED = 10


@dataclass(frozen=True, slots=True)
class Read:
    """Of a shard: rows of what can not be summarized, and what the model has to do."""

    rows: list[Row]
    items: list[Item] = field(default_factory=list)
    reductions: dict[tuple[int, int], Reduction] = field(default_factory=dict)
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
        read: list[Shard] = []
        set_aside: list[Portion] = []
        items: list[Item] = []
        reductions: dict[tuple[int, int], Reduction] = {}
        for shard in together:
            found = self._leases.answer_for([shard], partial(self._read, engine, shard))
            if found is None:
                continue
            if found.rows or not found.items:
                set_aside.append(Portion(shard, found.rows, done=not found.items))
            items += found.items
            reductions |= found.reductions
            read.append(shard)
        return Window(
            key=first.key,
            effective=first.effective,
            alone=first.alone,
            shards=read,
            set_aside=set_aside,
            items=items,
            bounds=window.bounds(engine, first.effective, first.deaths),
            suspects=first.suspects,
            reductions=reductions,
        )

    def _read(self, engine: Engine, shard: Shard) -> Read:
        _refuse_endless(shard)
        kept = self._kept(shard)
        # A disk, a chat template or a tokenizer that never answers must not hold it for ever.
        with self._heartbeat.deadline(self._timings.batch_deadline):
            failed, documents = _set_aside(shard, self._unfinished(shard))
            texts = [document.text or "" for document in documents]
            encoded = engine.encode(texts, shard.effective) if texts else []
            found = Read(failed)
            for document, ids in zip(documents, encoded, strict=True):
                if not ids.truncated or shard.effective.long_documents == "truncate":
                    found.items.append(Item(shard.id, document, ids))
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
    for document in documents:
        alone = shard.suspects.get(document.index, 0)
        if document.error is not None:
            bad.append(rows.failed(document, document.error.code, document.error.message))
        elif alone >= _DEATHS:
            died = f"in hand, alone, each of the {alone} times a worker died"
            message = f"document {document.index}: {died}"
            bad.append(rows.failed(document, "worker_died", message))
        else:
            good.append(document)
    return bad, good

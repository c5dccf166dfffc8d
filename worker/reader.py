"""From leases to a window: read, prompt and tokenize the documents, and plan the batches.

Beside the model where it can: what a window needs is ready when the one before is done. A
shard that can not be read is given up here, and the others of its window go on.
"""

from collections.abc import Sequence
from functools import partial

from jobs.database import Database
from jobs.documents import Document
from jobs.errors import JobError
from jobs.job import Portion, Row, Shard
from jobs.settings import Timings
from jobs.sources import Sources
from jobs.store import summaries
from worker import batching, window
from worker.engines import Engine
from worker.halving import Item, failed
from worker.heartbeat import Heartbeat
from worker.leases import Leases
from worker.window import Window

# A document that so many workers died of, each with nothing else in hand, is not tried again;
# nor is a job for which so many in a row died before they had begun a batch.
_DEATHS = 3

# So many machines in a row may vanish before they have begun a batch. Most do so for reasons of
# their own; but one that is ended for the memory that a model takes, is ended again and again.
_VANISHED = 10


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
        for shard in together:
            found = self._leases.answer_for([shard], partial(self._read, engine, shard))
            if found is None:
                continue
            rows, mine = found
            if rows or not mine:
                set_aside.append(Portion(shard, rows, done=not mine))
            items += mine
            read.append(shard)
        bounds = window.bounds(engine, first.effective, first.deaths)
        return Window(
            key=first.key,
            effective=first.effective,
            alone=first.alone,
            shards=read,
            set_aside=set_aside,
            batches=_plan(items, first.suspects, bounds),
            bounds=bounds,
        )

    def _read(self, engine: Engine, shard: Shard) -> tuple[list[Row], list[Item]]:
        """Rows for what can not be summarized, and what can."""
        _refuse_endless(shard)
        # A disk, a chat template or a tokenizer that never answers must not hold it for ever.
        with self._heartbeat.deadline(self._timings.batch_deadline):
            rows, documents = _set_aside(shard, self._unfinished(shard))
            texts = [document.text or "" for document in documents]
            encoded = engine.encode(texts, shard.effective) if texts else []
        pairs = zip(documents, encoded, strict=True)
        return rows, [Item(shard.id, document, ids) for document, ids in pairs]

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


def _set_aside(shard: Shard, documents: Sequence[Document]) -> tuple[list[Row], list[Document]]:
    """Rows for what can not be summarized, and the documents that can."""
    rows, good = [], []
    for document in documents:
        alone = shard.suspects.get(document.index, 0)
        if document.error is not None:
            rows.append(failed(document, document.error.code, document.error.message))
        elif alone >= _DEATHS:
            died = f"in hand, alone, each of the {alone} times a worker died"
            rows.append(failed(document, "worker_died", f"document {document.index}: {died}"))
        else:
            good.append(document)
    return rows, good


def _plan(
    items: Sequence[Item], suspects: dict[int, int], bounds: batching.Bounds
) -> list[list[Item]]:
    """The longest first, but for the batch with the first document, which goes before them: where
    a slice has time for one batch only, and longer ones keep coming, it would never be its turn.

    Suspects come last and alone, so that what they do, they do to nobody else. Only a shard
    that is done by itself has any.
    """
    last = [item for item in items if item.document.index in suspects]
    others = [item for item in items if item.document.index not in suspects]
    plan = batching.plan(
        [len(item.encoded.ids) for item in others],
        max_num_batched_tokens=bounds.max_num_batched_tokens,
        max_num_seqs=bounds.max_num_seqs,
    )
    plan.sort(key=lambda batch: 0 not in batch)
    return [[others[position] for position in batch] for batch in plan] + [[item] for item in last]

"""What a worker does with a shard: lease, read, prompt, tokenize, batch, generate, decode, store.

Knows neither Celery nor torch. Every way out of a shard is one of four: it is
done, it is handed back, its lease was lost (then nothing more is stored), or the
process ends and the lease runs out.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from time import monotonic

from jobs import sources
from jobs.broker import Broker
from jobs.database import Database
from jobs.documents import Document, storable
from jobs.errors import BrokerUnreachable, JobError, TransientError
from jobs.job import ModelKey, Row, Shard
from jobs.settings import Timings
from jobs.store import endings, shards, summaries
from worker import batching
from worker.engines import MODEL_ERRORS, Encoded, Engine, Generated
from worker.heartbeat import Heartbeat

log = logging.getLogger("gistmill.pipeline")

# Until poisonous documents are found out one by one, so many deaths without progress
# end the batch that was in hand, and twice as many the job.
_DEATHS = 5

# A batch that takes longer than the deadline, or more memory than there is, finds its size:
# each death halves it so often. 64 documents are 1 after the third death, and 256, as many
# as lead takes at once, after the fourth; so at the fifth a single one is in hand.
_HALVINGS = 2

LoadEngine = Callable[[ModelKey], Engine]


@dataclass(frozen=True, slots=True)
class Item:
    """A document on its way through the model."""

    document: Document
    encoded: Encoded


class Pipeline:
    """Summarizes shards, one at a time, with one loaded model at a time."""

    def __init__(
        self,
        *,
        database: Database,
        broker: Broker,
        heartbeat: Heartbeat,
        load_engine: LoadEngine,
        worker: str,
        timings: Timings,
    ) -> None:
        self._database = database
        self._broker = broker
        self._heartbeat = heartbeat
        self._load_engine = load_engine
        self._worker = worker
        self._timings = timings
        self._loaded: tuple[ModelKey, Engine] | None = None
        self._slice_ends = 0.0
        self._busy_since = 0.0
        self._task_ends = 0.0

    def summarize(self, shard_id: int) -> None:
        """Do the shard that a message names, then any other that the loaded model can do."""
        self._slice_ends = monotonic() + self._timings.slice
        # Well before Celery's own limit, which would kill a process that does nothing wrong;
        # the next message finds the model still loaded.
        self._task_ends = monotonic() + self._timings.task_limit / 2
        shard = self._lease_first(shard_id)
        while shard is not None:
            self._do(shard)
            shard = self._lease_next(shard.key)

    # --- leasing

    def _lease_first(self, shard_id: int) -> Shard | None:
        """The shard itself; else what a dead child of this worker left behind."""
        with self._database.transaction() as tx:
            return shards.lease(
                tx, shard_id, self._worker, self._timings.lease
            ) or shards.lease_orphan(tx, self._worker, self._timings.lease)

    def _lease_next(self, key: ModelKey) -> Shard | None:
        if self._should_stop(key):
            return None
        with self._database.transaction() as tx:
            return shards.lease_next(tx, key, self._worker, self._timings.lease)

    def _should_stop(self, key: ModelKey) -> bool:
        """Between batches: asked to stop, or the slice is over and others wait."""
        if self._heartbeat.draining or monotonic() >= self._task_ends:
            return True
        if monotonic() < self._slice_ends:
            return False
        with self._database.transaction() as tx:
            return shards.other_work_waits(tx, key)

    # --- one shard

    def _do(self, shard: Shard) -> None:
        renew = partial(shards.renew, shard=shard, seconds=self._timings.lease)
        hand_back = partial(shards.hand_back, shard=shard)
        self._busy_since = monotonic()
        with self._heartbeat.holding(renew, hand_back):
            try:
                self._work_through(shard)
            except JobError as error:
                self._fail_job(shard, error)
            except TransientError as error:
                self._try_later(shard, error)

    def _work_through(self, shard: Shard) -> None:
        began = monotonic()
        _refuse_endless(shard)
        documents = self._unfinished(shard)
        rows, documents = self._set_aside(shard, documents)
        items = self._encode(shard, documents) if documents else []
        batches = self._batches(shard, items)
        for batch, following in pairwise([[], *batches, []]):
            if batch:
                rows = self._generate(shard, batch)
            if not self._store(shard, rows, following):
                return
            if following and batch and self._should_stop(shard.key):
                self._hand_back(shard)
                self._send_again(shard)
                return
        log.info(
            "%s shard %d: %d document(s) in %.1f s",
            *(shard.job_id, shard.number, shard.stop - shard.start, monotonic() - began),
        )

    def _unfinished(self, shard: Shard) -> list[Document]:
        documents = sources.read(self._database, shard)
        with self._database.transaction() as tx:
            done = summaries.done(tx, shard.job_id, shard.start, shard.stop)
        return [document for document in documents if document.index not in done]

    def _set_aside(
        self, shard: Shard, documents: Sequence[Document]
    ) -> tuple[list[Row], list[Document]]:
        """Rows for what can not be summarized, and the documents that can."""
        suspects = set(shard.next_batch) if shard.deaths >= _DEATHS else set()
        good = [d for d in documents if d.error is None and d.index not in suspects]
        bad = [_failed(d, d.error.code, d.error.message) for d in documents if d.error is not None]
        died = f"in hand each of the {shard.deaths} times a worker died"
        bad += [
            _failed(d, "worker_died", f"document {d.index}: {died}")
            for d in documents
            if d.error is None and d.index in suspects
        ]
        return bad, good

    def _encode(self, shard: Shard, documents: Sequence[Document]) -> list[Item]:
        engine = self._engine(shard.key)
        texts = [document.text or "" for document in documents]
        encoded = engine.encode(texts, shard.effective)
        return [Item(*pair) for pair in zip(documents, encoded, strict=True)]

    def _batches(self, shard: Shard, items: Sequence[Item]) -> list[list[Item]]:
        if not items:
            return []
        engine = self._engine(shard.key)
        plan = batching.plan(
            [len(item.encoded.ids) for item in items],
            max_num_batched_tokens=engine.max_num_batched_tokens,
            max_num_seqs=_most_documents(engine, shard),
        )
        return [[items[position] for position in batch] for batch in plan]

    def _engine(self, key: ModelKey) -> Engine:
        if self._loaded is None or self._loaded[0] != key:
            # Two models at once may be more than the device holds.
            self._loaded = None
            with self._heartbeat.deadline(self._timings.load_deadline):
                self._loaded = (key, self._load_engine(key))
            # The slice counts from here: loading is not work done.
            self._busy_since = monotonic()
            self._slice_ends = self._busy_since + self._timings.slice
        return self._loaded[1]

    # --- one batch

    def _generate(self, shard: Shard, batch: Sequence[Item]) -> list[Row]:
        """The batch's rows. What the model refuses is halved until one document fails alone."""
        parts, rows = [list(batch)], []
        while parts:
            part = parts.pop()
            outcome = self._attempt(shard, part)
            if not isinstance(outcome, Exception):
                rows += outcome
            elif len(part) > 1:
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]
            else:
                rows.append(_refused(part[0], outcome))
        return rows

    def _attempt(self, shard: Shard, batch: Sequence[Item]) -> list[Row] | Exception:
        # The error is returned, not handled here: what it holds on to (a device's memory
        # among it) is free only once the except block has been left.
        engine = self._engine(shard.key)
        seeds = [shard.effective.seed_of(item.document.index) for item in batch]
        try:
            with self._heartbeat.deadline(self._timings.batch_deadline):
                generated = engine.generate(
                    [item.encoded.ids for item in batch], shard.effective, seeds
                )
                texts = engine.decode(generated)
        except MODEL_ERRORS as error:
            log.warning("%s: the model refuses %d document(s): %s", shard.job_id, len(batch), error)
            return error.with_traceback(None)
        return [_row(*made) for made in zip(batch, generated, texts, strict=True)]

    def _store(self, shard: Shard, rows: Sequence[Row], following: Sequence[Item]) -> bool:
        """Store a batch and write down the following one; without one the shard is done.

        False where the lease was lost or the job does not go on.
        """
        done = not following
        indexes = [item.document.index for item in following]
        busy_from, self._busy_since = self._busy_since, monotonic()
        with self._database.transaction() as tx:
            stored = shards.store(
                tx,
                shard,
                rows,
                indexes,
                done=done,
                lease_seconds=self._timings.lease,
                busy_seconds=self._busy_since - busy_from,
            )
            goes_on = stored and (done or shards.job_goes_on(tx, shard.job_id))
        if not stored:
            log.warning("%s shard %d: lease lost, batch dropped", shard.job_id, shard.number)
        elif not goes_on:
            self._hand_back(shard)
        return goes_on

    # --- ways out

    def _hand_back(self, shard: Shard) -> None:
        with self._database.transaction() as tx:
            shards.hand_back(tx, shard)

    def _send_again(self, shard: Shard) -> None:
        """Sooner than the dispatcher would."""
        try:
            self._broker.send_summarize(shard.id)
        except BrokerUnreachable as error:
            log.warning("%s; the dispatcher will send shard %d", error, shard.id)

    def _fail_job(self, shard: Shard, error: JobError) -> None:
        log.error("%s failed: %s", shard.job_id, error)
        with self._database.transaction() as tx:
            endings.fail(tx, shard.job_id, error.code, error.message)
            shards.hand_back(tx, shard)

    def _try_later(self, shard: Shard, error: TransientError) -> None:
        if shard.tries + 1 >= self._timings.tries:
            self._fail_job(shard, JobError(error.code, error.message))
            return
        pause = retry_pause(self._timings, shard.tries)
        log.warning("%s: %s; again in %.0f s", shard.job_id, error, pause)
        with self._database.transaction() as tx:
            shards.try_later(tx, shard, pause, error.code, error.message)


def retry_pause(timings: Timings, tries: int) -> float:
    """Seconds before the next try, after `tries` that failed before this one."""
    return min(timings.retry_longest, timings.retry_first * 2.0**tries)


def _refuse_endless(shard: Shard) -> None:
    """Raises JobError where workers die of something else than the documents in hand.

    Before anything is read, so that whatever reading raises can not go on for ever.
    """
    if shard.deaths >= (2 * _DEATHS if shard.next_batch else _DEATHS):
        raise JobError(
            "worker_died",
            f"{shard.deaths} workers died in a row before they could begin a batch; their logs "
            "say why, or the model needs more memory than there is",
        )


def _most_documents(engine: Engine, shard: Shard) -> int:
    """How many documents a batch of the shard may hold."""
    documents = engine.max_num_seqs // engine.seqs_per_document(shard.effective)
    return max(1, documents >> _HALVINGS * shard.deaths)


def _row(item: Item, generated: Generated, text: str) -> Row:
    return Row(
        index=item.document.index,
        id=item.document.id,
        summary=storable(text),
        input_tokens=item.encoded.tokens,
        output_tokens=generated.tokens,
        truncated=item.encoded.truncated,
        finish_reason=generated.finish_reason,
        error_code=None,
        error_message=None,
        reference=item.document.reference,
    )


def _refused(item: Item, error: Exception) -> Row:
    message = f"document {item.document.index}: {type(error).__name__}: {error}".splitlines()[0]
    return _failed(item.document, "generation_failed", storable(message))


def _failed(document: Document, code: str, message: str) -> Row:
    return Row(
        index=document.index,
        id=document.id,
        summary=None,
        input_tokens=0,
        output_tokens=0,
        truncated=False,
        finish_reason=None,
        error_code=code,
        error_message=message,
        reference=document.reference,
    )

"""What a worker does with a shard: lease, read, prompt, tokenize, batch, generate, decode, store.

Knows neither Celery nor torch. Every way out of a shard is one of four: it is
done, it is handed back, its lease was lost (then nothing more is stored), or the
process ends and the lease runs out.
"""

from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic

from jobs import logs, sources
from jobs.allowed_sources import Allowed
from jobs.broker import Broker
from jobs.database import Database
from jobs.documents import Document
from jobs.errors import (
    BrokerUnreachable,
    DatabaseUnreachable,
    GistmillError,
    JobError,
    TransientError,
)
from jobs.job import ModelKey, Row, Shard
from jobs.settings import Timings
from jobs.store import endings, shards, summaries
from worker import batching, outages
from worker.engines import DeviceLost, Engine
from worker.halving import Halving, Item, failed
from worker.heartbeat import Heartbeat

log = logs.get("pipeline")

# A document that so many workers died of, each with nothing else in hand, is not tried again;
# nor is a job for which so many in a row died before they had begun a batch.
_DEATHS = 3

# So many machines in a row may vanish before they have begun a batch. Most do so for reasons of
# their own; but one that is ended for the memory that a model takes, is ended again and again.
_VANISHED = 10

# A batch that takes longer than the deadline, or more memory than there is, finds its size:
# each death with several documents in hand halves the shard's batches so often.
_HALVINGS = 2

LoadEngine = Callable[[ModelKey], Engine]


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
        allowed: Allowed,
    ) -> None:
        self._database = database
        self._broker = broker
        self._heartbeat = heartbeat
        self._load_engine = load_engine
        self._worker = worker
        self._timings = timings
        self._allowed = allowed
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
            with logs.about(job=shard.job_id, shard=shard.number, attempt=shard.attempt):
                self._do_or_hand_back(shard)
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

    def _do_or_hand_back(self, shard: Shard) -> None:
        try:
            self._do(shard)
        except DatabaseUnreachable as error:
            outages.hand_back(
                lambda: self._hand_back(shard),
                error,
                self._timings,
                gives_up=lambda: self._heartbeat.draining or monotonic() >= self._task_ends,
            )

    def _do(self, shard: Shard) -> None:
        renew = partial(shards.renew, shard=shard, seconds=self._timings.lease)
        hand_back = partial(shards.hand_back, shard=shard)
        self._busy_since = monotonic()
        try:
            with self._heartbeat.holding(renew, hand_back):
                self._work_through(shard)
        except JobError as error:
            self._fail_job(shard, error)
        except TransientError as error:
            self._try_later(shard, error)
        except (GistmillError, MemoryError, DeviceLost):
            raise
        except Exception as error:
            log.exception("a defect")
            self._try_later(shard, defect(error))

    def _work_through(self, shard: Shard) -> None:
        began = monotonic()
        _refuse_endless(shard)
        rows, documents = _set_aside(shard, self._unfinished(shard))
        if documents:
            done = self._generate_all(shard, rows, documents)
        else:
            done = self._store(shard, rows, [])
        if done:
            seconds = round(monotonic() - began, 1)
            log.info("shard is done", documents=shard.stop - shard.start, seconds=seconds)

    def _generate_all(self, shard: Shard, rows: list[Row], documents: Sequence[Document]) -> bool:
        """Batch after batch, each written down before it is begun; False where it ends early."""
        batches = self._batches(shard, documents)
        halving = self._halving(shard)
        worked = False
        while self._store(shard, rows, batches[0] if batches else []):
            if not batches:
                return True
            if worked and self._should_stop(shard.key):
                self._hand_back(shard)
                if not self._heartbeat.draining:  # a silent Redis would take the time there is
                    self._send_again(shard)
                return False
            rows = halving.generate(batches[0])
            batches = halving.within_room(batches[1:])
            worked = True
        return False

    def _unfinished(self, shard: Shard) -> list[Document]:
        documents = sources.read(self._database, shard, self._allowed)
        with self._database.transaction() as tx:
            done = summaries.done(tx, shard.job_id, shard.start, shard.stop)
        return [document for document in documents if document.index not in done]

    def _batches(self, shard: Shard, documents: Sequence[Document]) -> list[list[Item]]:
        """Suspects come last and alone, so that what they do, they do to nobody else."""
        items = self._encode(shard, documents)
        suspects = [item for item in items if item.document.index in shard.suspects]
        others = [item for item in items if item.document.index not in shard.suspects]
        return self._plan(shard, others) + [[item] for item in suspects]

    def _encode(self, shard: Shard, documents: Sequence[Document]) -> list[Item]:
        engine = self._engine(shard.key)
        texts = [document.text or "" for document in documents]
        # A chat template or a tokenizer that never returns must not hold the lease for ever.
        with self._heartbeat.deadline(self._timings.batch_deadline):
            encoded = engine.encode(texts, shard.effective)
        return [Item(*pair) for pair in zip(documents, encoded, strict=True)]

    def _plan(self, shard: Shard, items: Sequence[Item]) -> list[list[Item]]:
        engine = self._engine(shard.key)
        plan = batching.plan(
            [len(item.encoded.ids) for item in items],
            max_num_batched_tokens=_most_tokens(engine, shard),
            max_num_seqs=_most_documents(engine, shard),
        )
        return [[items[position] for position in batch] for batch in plan]

    def _halving(self, shard: Shard) -> Halving:
        deadline = partial(self._heartbeat.deadline, self._timings.batch_deadline)
        return Halving(self._engine(shard.key), shard.effective, deadline)

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

    def _store(self, shard: Shard, rows: Sequence[Row], following: Sequence[Item]) -> bool:
        """Store a batch and write down the following one; without one the shard is done.

        False where the lease was lost or the job does not go on.
        """
        done = not following
        indexes = [item.document.index for item in following]
        busy_from, self._busy_since = self._busy_since, monotonic()
        if done:
            self._heartbeat.let_go()
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
            log.warning("the lease was lost; the batch is dropped")
        elif not goes_on:
            self._hand_back(shard)
        return goes_on

    # --- ways out

    def _hand_back(self, shard: Shard) -> None:
        self._heartbeat.let_go()
        with self._database.transaction() as tx:
            shards.hand_back(tx, shard)

    def _send_again(self, shard: Shard) -> None:
        """Sooner than the dispatcher would."""
        try:
            self._broker.send_summarize(shard.id)
        except BrokerUnreachable as error:
            log.warning("the dispatcher will send the shard", error=error)

    def _fail_job(self, shard: Shard, error: JobError) -> None:
        log.error("job fails", error=error)
        with self._database.transaction() as tx:
            endings.fail(tx, shard.job_id, error.code, error.message)
            shards.hand_back(tx, shard)

    def _try_later(self, shard: Shard, error: TransientError) -> None:
        if shard.tries + 1 >= self._timings.tries:
            self._fail_job(shard, JobError(error.code, error.message))
            return
        pause = retry_pause(self._timings, shard.tries)
        log.warning("could not be done; tried again", error=error, seconds=round(pause, 1))
        with self._database.transaction() as tx:
            shards.try_later(tx, shard, pause, error.code, error.message)


def retry_pause(timings: Timings, tries: int) -> float:
    """Seconds before the next try, after `tries` that failed before this one."""
    return min(timings.retry_longest, timings.retry_first * 2.0**tries)


def defect(error: Exception) -> TransientError:
    """What is known of an error that nobody foresaw. Not its message, which may quote a text."""
    return TransientError(
        "internal_error", f"{type(error).__name__}; the worker's log has the rest"
    )


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


def _most_documents(engine: Engine, shard: Shard) -> int:
    """How many documents a batch of the shard may hold."""
    documents = engine.max_num_seqs // engine.seqs_per_document(shard.effective)
    return max(1, documents >> _HALVINGS * shard.deaths)


def _most_tokens(engine: Engine, shard: Shard) -> int | None:
    """How many padded tokens it may hold."""
    if engine.max_num_batched_tokens is None:
        return None
    return max(1, engine.max_num_batched_tokens >> _HALVINGS * shard.deaths)

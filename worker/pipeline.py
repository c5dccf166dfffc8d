"""What a worker does with shards: lease, read, prompt, tokenize, batch, generate, decode, store.

A stream in which the model does not wait: while one batch is generated, the one before is
stored and the next window of shards is leased, read and tokenized. Knows neither Celery nor
torch. Every way out of a shard is one of four: it is done, it is handed back, its lease was
lost (then nothing more is stored), or the process ends and the lease runs out.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from time import monotonic

from jobs import logs
from jobs.broker import Broker
from jobs.database import Database
from jobs.errors import BrokerUnreachable, DatabaseUnreachable
from jobs.job import ModelKey, Portion, Row, Shard
from jobs.settings import Timings
from jobs.sources import Sources
from jobs.store import leasing
from worker import outages, window
from worker.beside import Beside
from worker.engines import Engine
from worker.halving import Halving
from worker.heartbeat import Heartbeat
from worker.items import Item
from worker.leases import Leases, about
from worker.metrics import Metrics
from worker.reader import Reader
from worker.window import Spent, Window

log = logs.get("pipeline")

# The next window is read while so many batches are left of the one at hand: in good time, and not
# so early that other workers have nothing to do.
_READ_AHEAD = 2

LoadEngine = Callable[[ModelKey], Engine]


class Pipeline:
    """Summarizes shards, one window at a time, with one loaded model at a time."""

    def __init__(
        self,
        *,
        database: Database,
        broker: Broker,
        heartbeat: Heartbeat,
        load_engine: LoadEngine,
        worker: str,
        timings: Timings,
        sources: Sources,
        metrics: Metrics | None = None,
    ) -> None:
        self._database = database
        self._broker = broker
        self._heartbeat = heartbeat
        self._load_engine = load_engine
        self._timings = timings
        self._metrics = metrics or Metrics()
        self._leases = Leases(database, worker, timings, self._metrics)
        self._reader = Reader(
            database=database,
            leases=self._leases,
            heartbeat=heartbeat,
            timings=timings,
            sources=sources,
        )
        self._reading: Beside[Window | None] = Beside("reader")
        self._storing: Beside[None] = Beside("storer")
        self._unstored: deque[Sequence[Portion]] = deque()
        self._loaded: tuple[ModelKey, Engine] | None = None
        self._slice_ends = 0.0
        self._task_ends = 0.0
        self._idle_since = 0.0
        self._worked = False
        self._made: Mapping[str, Row] = {}
        """By digest, the rows of the window that was done last."""

    def summarize(self, shard_id: int) -> None:
        """Do the shard that a message names, then any other that the loaded model can do."""
        began = monotonic()
        self._idle_since, self._slice_ends = began, began + self._timings.slice
        # Well before Celery's own limit, which would kill a process that does nothing wrong;
        # the next message finds the model still loaded.
        self._task_ends = began + self._timings.task_limit / 2
        self._worked = False
        with self._heartbeat.holding(self._leases.renew, self._leases.hand_back_in):
            try:
                self._work(shard_id)
            finally:
                self._reading.settle()
                self._storing.settle()
                self._unstored.clear()
                self._leases.forget()

    def _work(self, shard_id: int) -> None:
        first = self._leases.first(shard_id)
        if first is None:
            return
        taken = [first]
        while True:
            try:
                self._stream(first.key, taken)
            except DatabaseUnreachable as error:
                self._hand_back_after(error)
                taken = []  # it is leased anew, like any other
            else:
                return

    def _stream(self, key: ModelKey, taken: list[Shard]) -> None:
        """Window after window, each read while the one before is generated."""
        following = self._window(taken) if taken else self._next_window(key)
        while following is not None:
            if not self._do(following):
                self._stop()
                return
            following = self._reading.meet() or self._next_window(key)
        self._storing.meet()

    # --- windows

    def _window(self, taken: list[Shard]) -> Window | None:
        """None where its model can not be loaded: what was taken is then given up."""

        def read() -> Window:
            key = taken[0].key
            engine = self._engine(key)
            return self._reader.window(engine, self._gather(key, taken))

        with about(taken[0]):
            return self._leases.answer_for(taken, read)

    def _next_window(self, key: ModelKey) -> Window | None:
        """Of what is leased now, with nothing else in hand; None where nothing is to be had."""
        self._storing.meet()
        if self._should_stop(key):
            return None
        taken = self._gather(key, [])
        return self._window(taken) if taken else None

    def _read_ahead(self, key: ModelKey) -> Window | None:
        """None where nothing is to be had, or what is to be done by itself comes first."""
        if self._should_stop(key):
            return None
        taken = self._gather(key, [])
        read = partial(self._reader.window, self._engine(key), taken)
        return self._leases.answer_for(taken, read) if taken else None

    def _gather(self, key: ModelKey, taken: list[Shard]) -> list[Shard]:
        """`taken`, with as many more as make a window with them; no more once it is asked to stop:
        a lease that is new when all are handed back would be left to run out."""
        wanted = 1  # the first shard says how many make one
        while not (taken and taken[0].alone):
            if taken:
                wanted = window.documents(self._engine(key), taken[0].effective)
            enough = sum(shard.stop - shard.start for shard in taken) >= wanted
            if enough or self._heartbeat.draining:
                break
            more = self._leases.next(key, wanted, taken)
            if not more:
                break
            taken = [*taken, *more]
        return taken

    def _engine(self, key: ModelKey) -> Engine:
        if self._loaded is None or self._loaded[0] != key:
            # Two models at once may be more than the device holds.
            self._loaded = None
            with self._heartbeat.deadline(self._timings.load_deadline):
                began = monotonic()
                self._loaded = (key, self._load_engine(key))
                self._metrics.loaded(key, monotonic() - began)
            # The slice counts from here: loading is not work done.
            self._idle_since = monotonic()
            self._slice_ends = self._idle_since + self._timings.slice
        return self._loaded[1]

    def _should_stop(self, key: ModelKey) -> bool:
        """Between batches: asked to stop, or the slice is over and others wait."""
        if self._heartbeat.draining or monotonic() >= self._task_ends:
            return True
        if monotonic() < self._slice_ends:
            return False
        with self._database.transaction() as tx:
            return leasing.other_work_waits(tx, key)

    # --- one window

    def _do(self, current: Window) -> bool:
        """False where it was asked to stop before the end."""
        holding = self._heartbeat.holding(self._leases.renew, self._leases.hand_back_in)
        with _about(current), holding:
            work = partial(self._work_through, current)
            return self._leases.answer_for(current.shards, work) is not False

    def _work_through(self, current: Window) -> bool:
        deadline = partial(self._heartbeat.deadline, self._timings.batch_deadline)
        halving = Halving(self._engine(current.key), current.effective, deadline)
        current.reuse(self._made)
        self._made = current.same.made
        made: Sequence[Portion] = current.set_aside
        reads = current.alone
        while not current.over:
            if self._worked and self._should_stop(current.key):
                self._store(made)
                return False
            batch = self._begin(current, current.next_batch(), made)
            if not reads and not current.items and len(current.batches) < _READ_AHEAD:
                self._reading.begin(partial(self._read_ahead, current.key))
                reads = True
            made = self._generate(current, halving, batch) if batch else []
            current.batches = halving.within_room(current.batches)
        self._store(made)
        return True

    def _begin(self, current: Window, batch: list[Item], made: Sequence[Portion]) -> list[Item]:
        """What may be begun of a batch, written down; `made`, of the one before, is stored
        beside it. In this order: a store locks its shards, and would be waited for."""
        held, documents = current.to_announce(batch)
        going_on = self._leases.announce(held, documents)
        self._store(made)
        ended = [shard for shard in held if shard.id not in going_on]
        if ended:
            self._storing.meet()  # what is done of them is stored while they are still held
            self._leases.hand_back(ended)
            current.give_up({shard.id for shard in ended})
        return [item for item in batch if item.shard_id in going_on]

    def _generate(
        self, current: Window, halving: Halving, batch: Sequence[Item]
    ) -> Sequence[Portion]:
        began = monotonic()
        made = halving.generate(batch)
        spent = Spent(waiting=began - self._idle_since, generating=monotonic() - began)
        self._idle_since = began + spent.generating
        self._worked = True
        with self._heartbeat.deadline(self._timings.batch_deadline):
            portions = current.portions(made, spent)
        self._metrics.batched(current.key.model, portions)
        return portions

    def _store(self, portions: Sequence[Portion]) -> None:
        if portions:
            self._unstored.append(portions)
            self._storing.begin(self._store_all)

    def _store_all(self) -> None:
        """What a database that is away keeps from being stored, is stored once it is back: it may
        be stored already, and is not stored twice.

        It answers for what is stored, since it is met when other shards are in hand.
        """
        while self._unstored:
            portions = self._unstored[0]
            store = partial(self._leases.store, portions)
            self._leases.answer_for([portion.shard for portion in portions], store)
            self._unstored.popleft()

    # --- ways out

    def _stop(self) -> None:
        self._reading.meet()
        self._storing.meet()
        held = self._leases.held()
        if not held:
            return
        self._leases.hand_back(held)
        if not self._heartbeat.draining:  # a silent Redis would take the time there is
            self._send_again(held[0])

    def _send_again(self, shard: Shard) -> None:
        """Sooner than the dispatcher would."""
        try:
            self._broker.send_summarize(shard.id)
        except BrokerUnreachable as error:
            log.warning("the dispatcher will send the shard", error=error)

    def _hand_back_after(self, error: DatabaseUnreachable) -> None:
        self._reading.settle()
        self._storing.settle()

        def hand_back() -> None:
            self._store_all()
            self._leases.hand_back(self._leases.held())

        outages.hand_back(
            hand_back,
            error,
            self._timings,
            gives_up=lambda: self._heartbeat.draining or monotonic() >= self._task_ends,
        )
        self._idle_since = monotonic()  # an outage is not time that the model waited


def _about(current: Window) -> AbstractContextManager[None]:
    if len(current.shards) == 1:
        return about(current.shards[0])
    return logs.about(shards=len(current.shards))

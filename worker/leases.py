"""The shards that a worker has in hand: leased, renewed together, and given up one way or another.

Several threads take and give: one reads ahead, one stores, and the heartbeat renews. What is
about to be given up is renewed no more, since to give a lease up is not to lose it; it counts
as in hand until that is committed, so that what a lost connection kept may be tried again.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from time import monotonic
from typing import TypeVar

from jobs import logs
from jobs.database import Database, Transaction
from jobs.errors import GistmillError, JobError, TransientError
from jobs.job import ModelKey, Portion, Row, Shard
from jobs.settings import Timings
from jobs.store import endings, leasing, shards, workers
from worker.engines import DeviceLost
from worker.metrics import Metrics

log = logs.get("leases")

Made = TypeVar("Made")

_Lease = tuple[int, int]
"""A shard's id and attempt: the same shard may be lost, and leased again."""


class Leases:
    """What one worker has in hand, in this process."""

    def __init__(
        self, database: Database, worker: str, timings: Timings, metrics: Metrics | None = None
    ) -> None:
        self._database = database
        self._worker = worker
        self._timings = timings
        self._metrics = metrics or Metrics()
        self._lock = threading.Lock()
        self._held: dict[_Lease, Shard] = {}
        self._since: dict[_Lease, float] = {}
        self._leaving: set[_Lease] = set()

    # --- taken

    def first(self, shard_id: int) -> Shard | None:
        """The shard that a message names, with nothing else in hand."""
        with self._database.transaction() as tx:
            found = leasing.take(tx, shard_id, self._worker, self._timings.lease)
        self._add([found] if found else [])
        return found

    def next(self, key: ModelKey, documents: int, like: Sequence[Shard] = ()) -> list[Shard]:
        """The next shards for the model of `key`, with so many documents together with `like`, if
        there are, and no more than this worker's part."""
        with self._database.transaction() as tx:
            sharers = workers.alive_for(tx, key, self._timings.alive)
            found = leasing.take_next(
                tx,
                key,
                self._worker,
                self._timings.lease,
                documents=documents,
                like=like,
                held=self.held(),
                workers=max(1, sharers),
            )
        self._add(found)
        return found

    def answer_for(self, some: Sequence[Shard], work: Callable[[], Made]) -> Made | None:
        """What `work` returns. What goes wrong in it ends these shards, or puts them off, and
        nothing else: None then.

        What the process can not survive, or concerns no shard, passes through.
        """
        try:
            return work()
        except JobError as error:
            for shard in self._still_held(some):
                self.fail_job(shard, error)
        except TransientError as error:
            for shard in self._still_held(some):
                self.try_later(shard, error)
        except (GistmillError, MemoryError, DeviceLost):
            raise
        except Exception as error:
            log.exception("a defect")
            for shard in self._still_held(some):
                self.try_later(shard, defect(error))
        return None

    def _add(self, found: Sequence[Shard]) -> None:
        with self._lock:
            for shard in found:
                self._held[_lease(shard)] = shard
                self._since[_lease(shard)] = monotonic()

    # --- held

    def held(self) -> list[Shard]:
        with self._lock:
            return list(self._held.values())

    def _still_held(self, some: Sequence[Shard]) -> list[Shard]:
        with self._lock:
            return [shard for shard in some if _lease(shard) in self._held]

    def renew(self, tx: Transaction) -> bool:
        """Renews all that stay in hand, and forgets those that are lost, which it tells itself.

        True, which is to say that the heartbeat has nothing to tell.
        """
        with self._lock:
            staying = [shard for key, shard in self._held.items() if key not in self._leaving]
        if not staying:
            return True
        renewed = leasing.renew(tx, staying, self._timings.lease)
        for shard in staying:
            if shard.id not in renewed and self._lose(shard):
                self._metrics.lease_lost()
                with about(shard):
                    log.warning("the lease was lost; what is being done will not be stored")
        return True

    def _lose(self, shard: Shard) -> bool:
        """False where it was given up in the meantime, which is not to lose it."""
        key = _lease(shard)
        with self._lock:
            return key not in self._leaving and self._held.pop(key, None) is not None

    def announce(self, window: Sequence[Shard], batch: Mapping[int, Sequence[int]]) -> set[int]:
        """Write down the batch that is begun next, by shard; the rest of the window is held
        meanwhile. Returns the ids of the shards that may be gone on with."""
        with self._database.transaction() as tx:
            return shards.announce(tx, window, batch, self._timings.lease)

    # --- given up

    def store(self, portions: Sequence[Portion]) -> None:
        """Store rows; those that are done are given up with their last."""
        done = [portion.shard for portion in portions if portion.done]
        # Of one that was put off in the meantime it is not known.
        since = {_lease(shard): self._since.get(_lease(shard), monotonic()) for shard in done}
        with self._leaves(done), self._database.transaction() as tx:
            stored = shards.store(tx, portions, self._timings.lease)
        for portion in portions:
            self._count(portion.shard, stored)
            with about(portion.shard):
                if portion.shard.id not in stored:
                    log.warning("the lease was lost; the batch is dropped")
                elif portion.done:
                    seconds = round(monotonic() - since[_lease(portion.shard)], 1)
                    documents = portion.shard.stop - portion.shard.start
                    log.info("shard is done", documents=documents, seconds=seconds)

    def _count(self, shard: Shard, stored: Mapping[int, Sequence[Row]]) -> None:
        if shard.id in stored:
            self._metrics.stored(shard.key.model, stored[shard.id])
        else:
            self._metrics.dropped()

    def hand_back(self, given_up: Sequence[Shard]) -> None:
        with self._leaves(given_up), self._database.transaction() as tx:
            leasing.hand_back(tx, given_up)

    def forget(self) -> None:
        """Of what is still in hand the lease runs out."""
        with self._lock:
            self._held.clear()
            self._since.clear()
            self._leaving.clear()

    def hand_back_in(self, tx: Transaction) -> bool:
        """All there is, by a thread that ends the process next."""
        return bool(leasing.hand_back(tx, self.held()))

    def fail_job(self, shard: Shard, error: JobError) -> None:
        with about(shard):
            log.error("job fails", error=error)
        with self._leaves([shard]), self._database.transaction() as tx:
            endings.fail(tx, shard.job_id, error.code, error.message)
            leasing.hand_back(tx, [shard])

    def try_later(self, shard: Shard, error: TransientError) -> None:
        """Or fail the job, after as many tries as there are."""
        if shard.tries + 1 >= self._timings.tries:
            self.fail_job(shard, JobError(error.code, error.message))
            return
        self._metrics.retried(error.code)
        pause = retry_pause(self._timings, shard.tries)
        with about(shard):
            log.warning("could not be done; tried again", error=error, seconds=round(pause, 1))
        with self._leaves([shard]), self._database.transaction() as tx:
            leasing.try_later(tx, shard, pause, error.code, error.message)

    @contextmanager
    def _leaves(self, given_up: Sequence[Shard]) -> Iterator[None]:
        """They are renewed no more; in hand no more once what gives them up is committed."""
        keys = {_lease(shard) for shard in given_up}
        with self._lock:
            self._leaving |= keys
        yield
        with self._lock:
            for key in keys:
                self._held.pop(key, None)
                self._since.pop(key, None)
            self._leaving -= keys


def about(shard: Shard) -> AbstractContextManager[None]:
    """What a line of the log is about."""
    return logs.about(job=shard.job_id, shard=shard.number, attempt=shard.attempt)


def retry_pause(timings: Timings, tries: int) -> float:
    """Seconds before the next try, after `tries` that failed before this one."""
    return min(timings.retry_longest, timings.retry_first * 2.0**tries)


def defect(error: Exception) -> TransientError:
    """What is known of an error that nobody foresaw. Not its message, which may quote a text."""
    return TransientError(
        "internal_error", f"{type(error).__name__}; the worker's log has the rest"
    )


def _lease(shard: Shard) -> _Lease:
    return shard.id, shard.attempt

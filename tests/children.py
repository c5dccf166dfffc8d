"""A worker's pool child in this process: its real pipeline, with an engine of the test's own.

A death is an exception that nothing in the pipeline knows, so that it leaves what a killed
process leaves; whoever works next under the same name is the worker's next child.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from jobs.allowed_sources import Allowed
from jobs.broker import Broker
from jobs.database import Database
from jobs.parameters import Effective
from jobs.sources import Sources
from jobs.store import jobs
from jobs.store.jobs import JobRecord
from tests.conftest import TIMINGS
from tests.leases import WORKER
from worker.engines import DeviceLost, Engine, Generated
from worker.engines.lead import LeadEngine
from worker.heartbeat import Heartbeat
from worker.pipeline import Pipeline
from worker.validation import Validator

NextChild = Callable[..., Callable[[], None]]
"""Of an engine, and waiting times by name: what the worker's next child does at the message of
the first shard."""


class Died(BaseException):
    """Stands for a signal: nothing of ours handles it."""


class Recording(LeadEngine):
    """Notes which documents were in hand each time. A document takes `seqs` of 8 sequences, or of
    `most`."""

    def __init__(self, seqs: int = 1, most: int = 8) -> None:
        super().__init__(1, max_num_seqs=most)
        self.batches: list[list[int]] = []
        self._seqs = seqs

    def seqs_per_document(self, effective: Effective) -> int:
        return self._seqs

    def generate(
        self, batch: Sequence[list[int]], effective: Effective, seeds: Sequence[int]
    ) -> list[Generated]:
        texts = ["".join(map(chr, ids)) for ids in batch]
        self.batches.append([int(re.findall(r"\d+", text)[0]) for text in texts])
        return super().generate(batch, effective, seeds)


def pipeline(
    database: Database, broker: Broker, heartbeat: Heartbeat, engine: Engine, **timings: float
) -> Pipeline:
    return Pipeline(
        database=database,
        broker=broker,
        heartbeat=heartbeat,
        load_engine=lambda _key: engine,
        worker=WORKER,
        timings=TIMINGS.model_copy(update=timings),
        sources=Sources(database, Allowed(None)),
    )


def validator(database: Database, heartbeat: Heartbeat, home: Path) -> Validator:
    return Validator(
        database=database,
        heartbeat=heartbeat,
        home=home,
        device="cpu",
        worker=WORKER,
        timings=TIMINGS,
        sources=Sources(database, Allowed(None)),
    )


def count_deaths(next_child: NextChild, engine: Engine) -> int:
    """How many children die before the work is done."""
    for died in range(20):
        try:
            next_child(engine)()
        except (Died, DeviceLost):
            continue
        return died
    raise AssertionError("they die for ever")


def record(database: Database, job_id: str) -> JobRecord:
    with database.transaction() as tx:
        return jobs.get(tx, job_id)

"""The ground on which faults are tried: a mill, what was submitted to it, and the dice.

A scenario submits, breaks, and settles: then every job must have come to its end by itself
and SQL hold exactly what the ledger says.
"""

import json
import os
import random
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import Any
from urllib.parse import urlsplit

import psycopg
import redis

from jobs.services import Endpoints
from producer.job import Job
from tests.faults import audit
from tests.faults.engine import VARIABLE, Breakage, Diary, Orders
from tests.faults.ledger import Findings, Ledger
from tests.mill import Mill, eventually, pool_child

# Beyond the lease, until work must be taken up again.
RECOVERY = 15.0
# PostgreSQL leaves who is stopped in the middle of a transaction so long with it.
HELD = 30.0


@dataclass
class Outcome:
    """A line of the report."""

    scenario: str
    seed: int
    kills: int
    documents: int
    generated_twice: int
    """Documents that were generated to the end more than once: allowed, and counted."""
    thrown_away: int
    """Documents whose generation was begun in vain."""
    lost: int
    doubled: int
    recovery: float | None
    """The longest time, in seconds, from a fault until a next row was stored of each shard that
    was in hand then, or of any where none was. Those wait for their turn, too."""
    taken_up: float | None
    """The same until each of them was free, leased anew or gone on with, and a row was stored of
    one."""


@dataclass(frozen=True)
class Fault:
    """When something broke, and what was in hand then: job, first index, index after the last."""

    at: float
    in_hand: list[tuple[str, int, int]]


class Ground:
    """One scenario with one seed."""

    def __init__(
        self,
        mill: Mill,
        endpoints: Endpoints,
        folder: Path,
        *,
        scenario: str,
        seed: int,
        report: Callable[[Outcome], None],
    ) -> None:
        self.mill = mill
        self.seed = seed
        self.dice = random.Random(seed)
        self.ledger = Ledger()
        self.kills = 0
        self._report = report
        self._scenario = scenario
        self.broker_url = endpoints.broker_url
        self._url = endpoints.database_url.replace("+psycopg", "", 1)
        self._orders = Orders(diary=folder / "diary.jsonl")
        self._diary = Diary(self._orders.diary)
        self._faults: list[Fault] = []
        with self.sql() as connection:
            audit.install(connection)

    @property
    def orders(self) -> Orders:
        """Those of a worker that is told nothing else."""
        return self._orders

    # --- submitting and working

    def worker(
        self,
        name: str = "worker",
        batch_deadline: float = 600,
        module: str = "tests.faults.worker",
        **orders: Any,
    ) -> subprocess.Popen[bytes]:
        """Start a worker with the engine under test; `orders` are `Orders`' fields."""
        told = self._orders.model_copy(update=orders)
        timings = self.mill.settings.timings.model_copy(update={"batch_deadline": batch_deadline})
        variables = {
            VARIABLE: told.model_dump_json(),
            "GISTMILL_TIMINGS": timings.model_dump_json(),
        }
        return self.mill.start(name, "worker", "--device", "cpu", module=module, **variables)

    def submit(
        self,
        count: int,
        bad: Mapping[int, Breakage] | None = None,
        shard_size: int = 16,
        model: str = "lead-1",
        lines: int = 1,
        texts: int | None = None,
        **options: Any,
    ) -> Job:
        """Submit `count` documents, each so many times its text, and write them into the ledger;
        with no more `texts` than that among them, if it is given. The engine under test takes any
        `model` that is called lead, and does the same with each."""
        entries = self.ledger.write(count, bad, texts)
        with self.mill.client() as client:
            job = client.submit(
                ["\n".join([entry.text] * lines) for entry in entries],
                model=model,
                shard_size=shard_size,
                **options,
            )
        self.ledger.submitted(job.id, entries)
        return job

    def stored(self) -> int:
        """Rows that all jobs have so far."""
        return int(self.look("SELECT count(*) FROM summaries"))

    def progress(self, rows: int = 1) -> None:
        """Wait until so many rows more are stored."""
        before = self.stored()
        eventually(lambda: self.stored() >= before + rows, f"{rows} rows more")

    def begun(self) -> int:
        """Documents whose generation was begun so far, those that were begun again among them."""
        return self._diary.counted("begin").total()

    def busy(self, documents: int = 1) -> None:
        """Wait until so many documents more have been begun."""
        before = self.begun()
        eventually(lambda: self.begun() >= before + documents, f"{documents} documents more")

    def ended(self) -> int:
        """Documents that were generated to the end so far, as often as they were."""
        return self._diary.counted("end").total()

    def children(self) -> set[int]:
        """The processes that began to generate, dead ones included."""
        return self._diary.writers()

    # --- breaking

    def fault(self) -> None:
        """Something breaks now, or an outage ends now: from here on recovery is timed."""
        self._faults.append(Fault(time(), self._in_hand()))

    def kill(self, pid: int) -> None:
        # While there is somebody to ask: it may be PostgreSQL that is killed.
        in_hand = self._in_hand()
        os.kill(pid, signal.SIGKILL)
        self.kills += 1
        self._faults.append(Fault(time(), in_hand))

    def kill_worker(self, worker: subprocess.Popen[bytes]) -> None:
        """Its main process; the child dies with it."""
        self.kill(worker.pid)
        worker.wait()

    def kill_child(self, worker: subprocess.Popen[bytes]) -> None:
        self.kill(pool_child(worker))

    def deliver_again(self) -> int:
        """As Redis does with messages that are not yet acknowledged; returns how many. kombu does
        so itself only where a connection ends that it reads from just then."""
        with self.redis() as server:
            kept = server.hvals("gistmill:unacked")
            for each in kept:
                message, _exchange, _routing_key = json.loads(each)
                server.rpush("gistmill:gistmill", json.dumps(message))
        return len(kept)

    # --- settling

    def settle(
        self,
        patience: float = 90,
        waste: int | None = None,
        deaths: int = 0,
        recovery: float | None = None,
        in_turn: bool = False,
    ) -> Outcome:
        """Wait for the end of every job, compare, and write down the outcome.

        `waste`: documents that may have been generated in vain; else those of two batches for
        each kill and each of the `deaths` that documents themselves bring about. `recovery`:
        seconds until each shard in hand goes on; else a lease and `RECOVERY`. `in_turn`: so many
        shards are in hand that they wait for their turn; within that all are free, and one goes on.
        """
        try:
            eventually(self._all_over, "every job is over", patience)
        finally:
            with self.sql() as connection:
                findings = self.ledger.compare(connection)
                times = [t for fault in self._faults for t in self._recovered(connection, fault)]
                again = [t for fault in self._faults for t in self._taken_up(connection, fault)]
            outcome = self._outcome(findings, times, again)
            self._report(outcome)
        assert (findings.lost, findings.doubled, findings.wrong) == ([], [], []), outcome
        assert self._never_generated() == []
        if waste is None:
            waste = 2 * self._orders.batch * (self.kills + deaths)
        assert outcome.thrown_away <= waste, outcome
        again_after = outcome.taken_up if in_turn else outcome.recovery
        if again_after is not None:
            assert again_after < (recovery or self.lease + RECOVERY), outcome
        return outcome

    @property
    def lease(self) -> float:
        return self.mill.settings.timings.lease

    def sql(self) -> psycopg.Connection[Any]:
        """A connection of the test's own, to be used as a context; waits for a server that was
        killed and comes back."""
        return eventually(self._connected, "PostgreSQL answers")

    def redis(self) -> redis.Redis:
        """A connection of the test's own, to be used as a context."""
        parts = urlsplit(self.broker_url)
        number = int(parts.query.removeprefix("virtual_host="))
        return redis.Redis(unix_socket_path=parts.path, password=parts.password, db=number)

    def look(self, query: str, *parameters: Any) -> Any:
        """The one value that `query` gives; asks again where the server ends the connection."""

        def ask() -> tuple[Any, ...] | None:
            try:
                with self.sql() as connection:
                    return connection.execute(query.encode(), parameters).fetchone() or (None,)
            except psycopg.OperationalError:
                return None

        (value,) = eventually(ask, "PostgreSQL answers")
        return value

    def _connected(self) -> psycopg.Connection[Any] | None:
        try:
            return psycopg.connect(self._url, autocommit=True, connect_timeout=5)
        except psycopg.OperationalError:
            return None

    def _in_hand(self) -> list[tuple[str, int, int]]:
        connection = self._connected()
        if connection is None:  # the server is down
            return []
        with connection:
            return connection.execute(
                "SELECT job_id, start, stop FROM shards WHERE state = 'running'"
            ).fetchall()

    def _recovered(self, connection: psycopg.Connection[Any], fault: Fault) -> list[float]:
        """Seconds until each part of the work went on; what was stored to its end already is not
        among them."""
        if fault.in_hand:
            found = [audit.next_row(connection, fault.at, *shard) for shard in fault.in_hand]
        else:
            found = [audit.next_event(connection, fault.at)]
        return [at - fault.at for at in found if at is not None]

    def _taken_up(self, connection: psycopg.Connection[Any], fault: Fault) -> list[float]:
        """Seconds until each shard in hand was anybody's, and until one of them went on."""
        went_on = self._recovered(connection, fault)
        moved = [audit.next_move(connection, fault.at, *shard) for shard in fault.in_hand]
        freed = [at - fault.at for at in moved if at is not None]
        return [min(went_on), *freed] if went_on else []

    def _all_over(self) -> bool:
        over = "SELECT count(*) FROM jobs WHERE status IN ('completed', 'failed', 'cancelled')"
        return bool(self.look(over) == len(self.ledger.job_ids))

    def _never_generated(self) -> list[str]:
        """Documents that have a summary though the engine under test, if there was one, never
        generated it."""
        ended = self._diary.counted("end")
        if not ended:
            return []
        return [key for key in self.ledger.summarized if not ended[key]]

    def _outcome(self, findings: Findings, times: list[float], again: list[float]) -> Outcome:
        begun, ended = self._diary.counted("begin"), self._diary.counted("end")
        return Outcome(
            scenario=self._scenario,
            seed=self.seed,
            kills=self.kills,
            documents=findings.documents,
            generated_twice=sum(count > 1 for count in ended.values()),
            thrown_away=begun.total() - len(begun),
            lost=len(findings.lost),
            doubled=len(findings.doubled),
            recovery=round(max(times), 1) if times else None,
            taken_up=round(max(again), 1) if again else None,
        )

"""`python -m tests.faults.stopping WORDS`: a worker with the engine under test that stops once in
the middle of a store, its transaction open."""

import os
import signal

import gistmill
from jobs.database import Transaction
from jobs.store import shards
from tests.faults.worker import orders


def job_goes_on(tx: Transaction, job_id: str) -> bool:
    """As it is, which is the last that a store asks. The first of a shard stores nothing yet."""
    global has_begun
    mark = orders.diary.with_name("stopped-in-store")
    if has_begun and not mark.exists():
        mark.write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGSTOP)
    has_begun = True
    return as_it_is(tx, job_id)


has_begun = False
as_it_is = shards.job_goes_on
shards.job_goes_on = job_goes_on

if __name__ == "__main__":
    gistmill.main()

"""`python -m tests.faults.stopping WORDS`: a worker with the engine under test that stops once in
the middle of a store, its transaction open."""

import os
import signal

import gistmill
from jobs.database import Transaction
from jobs.store import fairness
from tests.faults.worker import orders


def charge(tx: Transaction, group: str, tokens: int) -> None:
    """As it is, which is the last that a store does."""
    as_it_is(tx, group, tokens)
    mark = orders.diary.with_name("stopped-in-store")
    if not mark.exists():
        mark.write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGSTOP)


as_it_is = fairness.charge
fairness.charge = charge

if __name__ == "__main__":
    gistmill.main()

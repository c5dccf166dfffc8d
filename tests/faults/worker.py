"""`python -m tests.faults.worker WORDS`: gistmill as users start it, with the engine under test.

The pool child, which is spawned afresh, imports this module as its parent does.
"""

import os
import signal
from time import sleep

import gistmill
from jobs import messages
from tests.faults.engine import VARIABLE, Diarist, Diary, Orders
from worker import models
from worker.engines import Engine
from worker.models import Resolved
from worker.pipeline import Pipeline

orders = Orders.model_validate_json(os.environ[VARIABLE])
diary = Diary(orders.diary)


def load(resolved: Resolved, engine: str, dtype: str | None, device: str) -> Engine:
    sleep(orders.load_seconds)
    return Diarist(orders)


def summarize(self: Pipeline, shard_id: int) -> None:
    """As it is, but that the whole worker dies between its last commit and the end of the task."""
    before = diary.counted("end").total()
    work(self, shard_id)
    if diary.counted("end").total() > before and _deaths_left():
        os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)


def _deaths_left() -> bool:
    marks = [orders.diary.with_name(f"died-{number}") for number in range(orders.dies_after_commit)]
    left = [mark for mark in marks if not mark.exists()]
    if left:
        left[0].touch()
    return bool(left)


work = Pipeline.summarize
models.load = load
Pipeline.summarize = summarize  # type: ignore[method-assign]
messages.VERSION = orders.speaks

if __name__ == "__main__":
    gistmill.main()

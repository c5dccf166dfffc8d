"""Evaluations of jobs, in the background: one at a time, and each found by all who look.

What was found is kept for as long as the process lives, by job and counts: a job that was
retried is evaluated anew.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass

from jobs.errors import GistmillError
from producer.evaluation.evaluate import Evaluation
from producer.job import Job
from producer.status import JobStatusView

_KEPT = 64
_SAMPLES = 3
_DEFECT = "a defect of ours; the log of the server says more"

Key = tuple[str, int, int, int | None]


@dataclass
class Running:
    """One that waits, is under way, or is done."""

    documents: int
    """To look at."""
    done: int = 0
    waits: bool = True
    found: Evaluation | None = None
    problem: str | None = None

    @property
    def over(self) -> bool:
        return self.found is not None or self.problem is not None

    def progress(self, done: int) -> None:
        self.done = done


class Evaluations:
    """Those of one process."""

    def __init__(self) -> None:
        self._known: OrderedDict[Key, Running] = OrderedDict()
        self._lock = threading.Lock()
        self._turn = threading.Lock()

    def known(self, status: JobStatusView) -> Running | None:
        """The one of the job as it stands; None where nobody has asked for it."""
        with self._lock:
            return self._known.get(_key(status))

    def ask(self, job: Job, status: JobStatusView) -> Running:
        """Begin it, unless somebody has. One that came to nothing is tried again."""
        with self._lock:
            running = self._known.get(_key(status))
            if running is not None and running.problem is None:
                return running
            running = Running(status.counts.completed + status.counts.failed)
            self._known[_key(status)] = running
            self._forget_the_oldest()
        # A daemon: whoever stops the process waits for no evaluation.
        threading.Thread(target=self._run, args=(job, running), daemon=True).start()
        return running

    def _forget_the_oldest(self) -> None:
        over = [key for key, running in self._known.items() if running.over]
        for key in over[: max(0, len(self._known) - _KEPT)]:
            del self._known[key]

    def _run(self, job: Job, running: Running) -> None:
        with self._turn:
            running.waits = False
            try:
                running.found = job.evaluate(_SAMPLES, progress=running.progress)
            except GistmillError as error:
                running.problem = str(error)
            finally:
                if not running.over:
                    running.problem = _DEFECT


def _key(status: JobStatusView) -> Key:
    return status.id, status.counts.completed, status.counts.failed, status.finished_at

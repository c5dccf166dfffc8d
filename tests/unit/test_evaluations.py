"""Evaluations in the background: one at a time, found by all, tried again where they failed."""

import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from jobs.errors import NotFound
from producer.dashboard.evaluations import Evaluations
from tests.mill import eventually


@dataclass
class Slow:
    """A job whose evaluation goes on until it is told to end."""

    id: str
    fails: bool = False
    begun: threading.Event = field(default_factory=threading.Event)
    ends: threading.Event = field(default_factory=threading.Event)

    def evaluate(self, samples: int, *, progress: Any) -> str:
        self.begun.set()
        progress(samples)
        self.ends.wait(60)
        if self.fails:
            raise NotFound("the source is gone")
        return f"evaluation of {self.id}"

    def status(self, completed: int = 10) -> Any:
        counts = SimpleNamespace(completed=completed, failed=1)
        return SimpleNamespace(id=self.id, counts=counts, finished_at=1)


def ask(evaluations: Evaluations, job: Any, completed: int = 10) -> Any:
    return evaluations.ask(job, job.status(completed))


def test_one_at_a_time_and_found_by_all() -> None:
    evaluations, first, second = Evaluations(), Slow("a"), Slow("b")
    running = ask(evaluations, first)
    assert first.begun.wait(60)
    waiting = ask(evaluations, second)
    assert ask(evaluations, first) is running
    known: Any = evaluations.known(first.status())
    assert known is running
    assert (running.documents, running.done, running.waits, running.over) == (11, 3, False, False)
    assert waiting.waits
    assert not second.begun.is_set()
    first.ends.set()
    second.ends.set()
    eventually(lambda: waiting.over, "both are over")
    assert (running.found, waiting.found) == ("evaluation of a", "evaluation of b")
    assert ask(evaluations, first) is running
    assert evaluations.known(first.status(11)) is None, "it was retried since"


def test_what_came_to_nothing_is_tried_again() -> None:
    evaluations, job = Evaluations(), Slow("a", fails=True)
    job.ends.set()
    running = ask(evaluations, job)
    eventually(lambda: running.over, "it is over")
    assert running.problem == "the source is gone"
    job.fails = False
    again = ask(evaluations, job)
    assert again is not running
    eventually(lambda: again.over, "it is over")
    assert again.found == "evaluation of a"

"""A thread beside the work, for one thing at a time: what it raises, it raises where it is met."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

Made = TypeVar("Made")


class Beside(Generic[Made]):
    """Begins one thing after another, each met before the next is begun."""

    def __init__(self, name: str) -> None:
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._begun: Future[Made] | None = None

    def begin(self, work: Callable[[], Made]) -> None:
        """Waits for the one before, whose error it raises."""
        self.meet()
        self._begun = self._threads.submit(work)

    def meet(self) -> Made | None:
        """What was begun last, once it is done; None where nothing was, or it was met before.

        Raises what it raised.
        """
        begun, self._begun = self._begun, None
        return None if begun is None else begun.result()

    def settle(self) -> None:
        """Wait until nothing is at work. What it came to, good or bad, is dropped."""
        begun, self._begun = self._begun, None
        if begun is not None:
            wait([begun])

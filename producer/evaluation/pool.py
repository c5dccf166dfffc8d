"""Many documents at once: measured in processes of their own, where there are enough for that.

A child is a command of ours that reads and writes lines (`producer.evaluation.child`), not a
multiprocessing pool: that would run a user's own script again in each child, and would look for
its modules in the current folder first.
"""

import json
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from queue import SimpleQueue
from typing import TypeVar

from jobs import devices
from jobs.errors import GistmillError
from producer.evaluation import measures
from producer.evaluation.measures import Numbers, Texts

T = TypeVar("T")
Progress = Callable[[int], None]
"""Told how many documents are done, whenever some are."""
Measured = tuple[list[T], list[Numbers]]

_CHUNK = 200
"""Documents that go to a child at once."""
_FEW = 1000
"""So many are done here in the time that a child takes to start."""
_AHEAD = 3
"""Chunks for each child that are read before they are needed."""


def unseen(documents: int) -> None:
    pass


def measured(
    kind: str, items: Iterable[T], texts_of: Callable[[T], Texts], documents: int
) -> Generator[Measured[T], None, None]:
    """Items in order, some at a time, with the numbers of each; `kind` is that of `measures`.

    `documents` is how many there are, roughly. Flat in memory. To be closed, by who stops
    before the end, or the children would go on. Raises GistmillError where a child ends.
    """
    chunks = _chunks(items)
    if documents < _FEW:
        measure = measures.by_name(kind)
        for chunk in chunks:
            yield chunk, [measure(*texts_of(item)) for item in chunk]
        return
    with _children(kind, devices.usable_cores()) as children:
        yield from _spread(chunks, texts_of, children)


def _spread(
    chunks: Iterable[list[T]], texts_of: Callable[[T], Texts], children: "Sequence[_Child]"
) -> Iterator[Measured[T]]:
    idle: SimpleQueue[_Child] = SimpleQueue()
    for child in children:
        idle.put(child)

    def ask(chunk: list[T]) -> list[Numbers]:
        child = idle.get()
        try:
            return child.measure([texts_of(item) for item in chunk])
        finally:
            idle.put(child)

    waiting: deque[tuple[list[T], Future[list[Numbers]]]] = deque()
    with ThreadPoolExecutor(len(children)) as threads:
        try:
            for chunk in chunks:
                waiting.append((chunk, threads.submit(ask, chunk)))
                if len(waiting) > _AHEAD * len(children):
                    first, numbers = waiting.popleft()
                    yield first, numbers.result()
            for first, numbers in waiting:
                yield first, numbers.result()
        except BaseException:
            # Ctrl-C among them: nobody waits for what is under way.
            for child in children:
                child.kill()
            threads.shutdown(cancel_futures=True)
            raise


class _Child:
    def __init__(self, kind: str) -> None:
        # -P, as for all children: else it would look in the current folder first.
        command = [sys.executable, "-P", "-m", "producer.evaluation.child", kind]
        # In a group of its own, out of reach of the terminal's Ctrl-C: the parent ends it.
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0
        )

    def measure(self, texts: Sequence[Texts]) -> list[Numbers]:
        to, back = self._process.stdin, self._process.stdout
        line = ""
        with suppress(BrokenPipeError):  # then there is no answer either
            print(json.dumps(texts), file=to, flush=True)
            line = back.readline() if back else ""
        if not line.endswith("\n"):
            code = self._process.wait()
            raise GistmillError(
                f"a process that measured summaries ended with {code}; where that is -9, there "
                "was too little memory"
            )
        numbers: list[Numbers] = json.loads(line)
        return numbers

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@contextmanager
def _children(kind: str, count: int) -> "Iterator[list[_Child]]":
    with ExitStack() as stack:
        children = []
        for _ in range(count):
            child = _Child(kind)
            stack.callback(child.close)
            children.append(child)
        yield children


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    remaining = iter(items)
    while chunk := list(islice(remaining, _CHUNK)):
        yield chunk

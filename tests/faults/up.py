"""`python -m tests.faults.up up WORDS`: `gistmill up` as users start it, whose workers have the
engine under test."""

from collections.abc import Iterator
from dataclasses import replace

import gistmill
from jobs.processes import Child
from jobs.settings import Settings
from producer.cli import up

_OURS = "tests.faults.worker"


def children(configured: Settings, workers: int | None, metrics_port: int = 0) -> Iterator[Child]:
    for child in as_it_is(configured, workers, metrics_port):
        works = "worker" in child.argv
        argv = [_OURS if works and word == "gistmill" else word for word in child.argv]
        yield replace(child, argv=argv)


as_it_is = up._children

if __name__ == "__main__":
    up._children = children
    gistmill.main()

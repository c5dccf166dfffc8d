"""Which engine summarizes how fast: sides, cases, the contest, the roofline and the table."""

from benchmarks.engines.command import main

__all__ = ["main"]

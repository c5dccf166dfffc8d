"""How well a job's ETA does: what it said at 10, 50 and 90 % done, and what happened.

    python -m benchmarks.forecasts FILE.jsonl --model MODEL [--model MODEL ...] [--runs N]

Submits FILE to the mill of this machine's settings, which must be running with nothing else
to do, once for each model and run, one after another, and prints a table as Markdown.
Figures are seconds from the moment of the forecast to the end of the job.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import gistmill
from gistmill import Job

SHARES = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class Forecast:
    share: float
    at: float
    low: int
    high: int


def follow(job: Job) -> tuple[list[Forecast], float]:
    """The first forecast at or after each share, and when the job was over."""
    found: list[Forecast] = []
    while not (status := job.status()).over:
        done = status.counts.completed + status.counts.failed
        due = [
            share for share in SHARES[len(found) :] if done >= share * (status.counts.total or 1)
        ]
        if due and status.eta_seconds:
            low, high = status.eta_seconds.low, status.eta_seconds.high
            found += [Forecast(share, time.monotonic(), low, high) for share in due]
        time.sleep(0.1)
    return found, time.monotonic()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--model", action="append", required=True)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--shard-size", type=int, default=64)
    given = parser.parse_args()
    print("| model | done | forecast | it took | inside |\n|---|---|---|---|---|")
    for model in given.model:
        for _ in range(given.runs):
            job = gistmill.submit(given.file, model=model, shard_size=given.shard_size)
            found, ended = follow(job)
            for each in found:
                took = ended - each.at
                inside = "yes" if each.low <= took <= each.high else "no"
                name = Path(model).name
                said = f"{each.low} to {each.high} s"
                print(
                    f"| {name} | {each.share:.0%} | {said} | {took:.0f} s | {inside} |", flush=True
                )


if __name__ == "__main__":
    main()

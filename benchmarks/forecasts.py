"""How well forecasts do: what was said before a job and at 10, 50 and 90 % done, and what happened.

    python -m benchmarks.forecasts FILE.jsonl --model MODEL [--model MODEL ...] [--runs N]

Submits FILE to the mill of this machine's settings, which must be running with nothing else
to do, once for each model and run, one after another, and prints a table as Markdown. Before
each a dry run says how long it would take; nothing where the model has done nothing there.
Figures are seconds from the moment of the forecast to the end of the job, and of a dry run also
the seconds of all workers together.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import gistmill
from gistmill import Job
from producer.status import ForecastView, Span

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
            asked = {"model": model, "shard_size": given.shard_size, "reuse": False}
            before = gistmill.submit(given.file, dry_run=True, **asked)
            before.wait()
            job = gistmill.submit(given.file, **asked)
            found, ended = follow(job)
            show_before(model, before.status().forecast, job.status().forecast)
            for each in found:
                show(model, f"{each.share:.0%}", Span(each.low, each.high), ended - each.at)


def show_before(model: str, said: ForecastView | None, ended: ForecastView | None) -> None:
    """What a dry run said, beside what the job took."""
    if said is None or said.seconds is None or ended is None or ended.actual is None:
        return
    actual, hours = ended.actual, said.device_hours
    show(model, "before", said.seconds, actual.seconds)
    work = Span(3600 * hours.low, 3600 * hours.high)
    show(model, "before, workers' seconds", work, 3600 * actual.device_hours)


def show(model: str, done: str, said: Span, took: float) -> None:
    inside = "yes" if said.low <= took <= said.high else "no"
    span = f"{said.low:.0f} to {said.high:.0f} s"
    print(f"| {Path(model).name} | {done} | {span} | {took:.0f} s | {inside} |", flush=True)


if __name__ == "__main__":
    main()

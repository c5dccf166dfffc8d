"""How the command line speaks: data to standard output, everything else to standard error."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from time import time
from typing import TYPE_CHECKING, Any

import click

from jobs import settings
from jobs.states import JobStatus
from producer.cli import url

if TYPE_CHECKING:
    from jobs.settings import Settings
    from producer.client import Client
    from producer.forecast import Eta
    from producer.status import BatchingView, ForecastView, JobStatusView, Span, WebhookView


def hint(message: str) -> None:
    click.echo(message, err=True)


def show_json(value: Any) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def interactive() -> bool:
    """Whether a person looks at the output."""
    return sys.stdout.isatty() and sys.stderr.isatty()


def coloured(text: str, colour: str) -> str:
    """As standard output can show it."""
    wanted = sys.stdout.isatty() and settings.colour_wanted()
    return click.style(text, fg=colour) if wanted else text


@contextmanager
def client(configured: Settings | None = None) -> Iterator[Client]:
    """A client whose warnings are lines on standard error: of the mill that `--url` or the
    settings name, or where they are given of `configured`."""
    from producer.client import Client
    from producer.job import NobodyWorks

    named = url.chosen() if configured is None else None
    with warnings.catch_warnings(), Client(named, settings=configured) as opened:
        warnings.simplefilter("always", NobodyWorks)
        warnings.showwarning = _show
        yield opened


def client_here() -> AbstractContextManager[Client]:
    """A client of this machine's own mill, for those who run it."""
    return client(settings.load().here)


def _show(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    del category, filename, lineno, file, line  # a user has no use for where we warned
    hint(f"warning: {message}")


def tell_what_is_missing(opened: Client, *, waiting_for: str | None = None) -> None:
    """With `waiting_for`, a job's id, also that whoever waits may stop waiting."""
    if missing := opened.missing():
        hint(f"warning: no {' and no '.join(missing)} is alive; start them with: gistmill up")
        if waiting_for:
            hint(f"waiting for them; Ctrl-C is safe: {waiting_for} is kept, and goes on with them")


def counted(number: int, noun: str, nouns: str | None = None) -> str:
    """1 document, 2,000 documents; `nouns` where it takes no s."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def state(job: JobStatusView) -> str:
    return f"{job.status} (dry run)" if job.dry_run else job.status


def line(job: JobStatusView) -> str:
    """The one status line that is true."""
    counts = job.counts
    total = counted(counts.total or 0, "document")
    reused = f" ({counts.reused:,} reused)" if counts.reused else ""
    parts = [f"{job.id} {state(job)}: {counts.completed:,} of {total} done{reused}"]
    if counts.failed:
        parts.append(f"{counts.failed:,} failed")
    if job.throughput:
        parts.append(speed(job.throughput.documents_per_second))
    if job.eta_seconds and not job.over:
        parts.append(left(job.eta_seconds))
    if job.window and not job.over:
        parts.append(f"runs only {job.window}")
    if job.status == JobStatus.PAUSED:
        parts.append(f"go on with: gistmill resume {job.id}")
    text = ", ".join(parts)
    if job.error:
        text = f"{text}\n  {_reason(job.error)}"
    elif job.note:
        text = f"{text}\n  {_reason(job.note)}; {next_try(job.note['next_try_at'])}"
    return f"{text}\n  {webhook(job.webhook)}" if job.webhook and job.webhook.last_error else text


def webhook(said: WebhookView) -> str:
    """Of one that was not told yet."""
    tries = counted(said.tries, "try", "tries")
    when = "given up" if said.next_try_at is None else next_try(said.next_try_at)
    return f"webhook {said.url}: {tries}, {said.last_error}; {when}"


def _reason(found: dict[str, Any]) -> str:
    return f"{found['code']}: {found['message']}"


def next_try(at: int) -> str:
    """When what failed is tried again, in unix seconds."""
    left = at - time()
    return f"next try in {duration(left)}" if left >= 1 else "trying again"


def engine(job: JobStatusView) -> str:
    """Which one does the job, in which numbers, and why not the fastest where it is not."""
    numbers = f", dtype {job.dtype}" if job.dtype else ""
    return f"engine {job.engine}{numbers}" + (f" ({job.fallback})" if job.fallback else "")


def batching(found: BatchingView) -> str:
    """As in: batches 92% full, 3.1% padding, the model waited 0.8% of its time."""
    waited = found.waiting_seconds / (found.waiting_seconds + found.generating_seconds)
    padding = found.padding_share or 0.0
    return (
        f"batches {found.batch_fill:.0%} full, {padding:.1%} padding, "
        f"the model waited {waited:.1%} of its time"
    )


def speed(documents_per_second: float) -> str:
    """Three digits that say something: 0.335 documents/s, 14.8 documents/h."""
    slow = documents_per_second < 0.01
    number = documents_per_second * 3600 if slow else documents_per_second
    shown = f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
    return f"{shown} documents/{'h' if slow else 's'}"


def left(eta: Eta) -> str:
    """A forecast as people say it: 40 to 55 min left."""
    return f"{between(eta.low, eta.high)} left"


def forecast(said: ForecastView) -> str:
    """As in: about 3 h 10 min to 4 h 05 min on 2 workers (6.3 to 8.1 device-hours), from 1,204
    documents of this model here. Of a job that is over with what it took beside it."""
    hours, took = _hours(said.device_hours), said.actual
    if took is not None:
        seconds = f"{_seconds(said.seconds)}, took {duration(took.seconds)}"
        return f"forecast {seconds}; {hours} device-hours, took {_digits(took.device_hours)}"
    workers = counted(said.workers, "worker")
    other = "" if said.same_parameters else ", made with other parameters"
    return (
        f"about {_seconds(said.seconds)} on {workers} ({hours} device-hours), from "
        f"{counted(said.documents, 'document')} of this model here{other}"
    )


def _seconds(said: Span | None) -> str:
    if said is None:
        return "an unknown time"
    return between(said.low, said.high).removeprefix("about ")


def _hours(said: Span) -> str:
    low, high = _digits(said.low), _digits(said.high)
    return low if low == high else f"{low} to {high}"


def _digits(hours: float) -> str:
    """Two that say something: 6.3, 0.00042; not more than five places."""
    shown = f"{float(f'{hours:.2g}'):,.5f}"
    return shown.rstrip("0").rstrip(".")


def between(low: float, high: float) -> str:
    """Seconds as people say them: 40 to 55 min; about 3 s where both say the same."""
    shortest, longest = duration(low), duration(high)
    if shortest == longest:
        return f"about {shortest}"
    number, _, unit = shortest.partition(" ")
    same = " " not in unit and longest.endswith(f" {unit}")
    return f"{number if same else shortest} to {longest}"


def duration(seconds: float) -> str:
    """As people say it: 45 s, 12 min, 3 h 20 min."""
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    if minutes < 100:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min"

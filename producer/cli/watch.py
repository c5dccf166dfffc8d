"""`gistmill watch`: a bar, the speed, the time left and the failures of a job, live."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic, sleep
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from jobs.states import JobStatus
from producer.cli import output, url

if TYPE_CHECKING:
    from jobs.store.summaries import Failures
    from producer.client import Client
    from producer.job import Job
    from producer.status import JobStatusView

# The speed shown is that of so many seconds at least, and soon forgets a model's loading.
_WINDOW = 30.0
# Off a terminal there is no bar: a line each so many seconds.
_LINE_EVERY = 30.0


@click.command(
    epilog="""\b
Examples:
  gistmill watch JOB
"""
)
@click.argument("job")
@url.option
def command(job: str) -> int:
    """Follow JOB until it is over. Ctrl-C stops watching; the job goes on."""
    with output.client() as client:
        found = client.job(job)
        output.tell_what_is_missing(client)
        return follow(client, found)


def follow(client: Client, job: Job, *, quiet: bool = False) -> int:
    """Returns the exit code of the job's end."""
    from producer.status import exit_code

    if quiet:
        return exit_code(job.wait())
    ended = progress(client, job)
    if ended.counts.failed:
        output.hint(f"see why documents failed with: gistmill failures {job.id}")
    if ended.counts.completed:
        output.hint(f"read it with: gistmill results {job.id}")
    return exit_code(ended)


def progress(client: Client, job: Job, check: Callable[[], None] = lambda: None) -> JobStatusView:
    """Show how the job goes until it is over, and then its status line.

    `check` is called at each look, and what it raises ends the watching.
    """
    show = _with_bar if output.interactive() else _with_lines
    try:
        ended = show(client, job, check)
    except KeyboardInterrupt:
        output.hint(f"\n{job.id} goes on; come back with: gistmill watch {job.id}")
        raise
    output.hint(output.line(ended))
    if ended.forecast and ended.forecast.actual:
        output.hint(f"  {output.forecast(ended.forecast)}")
    for each in job.failures(samples=0):
        output.hint(f"  {each.code}: {output.counted(each.documents, 'document')}")
    return ended


class Speed:
    """Documents a second, from one store that was seen to a later one.

    Batches may take minutes and store many documents at once: time that has passed since
    the last store says nothing yet.
    """

    def __init__(self) -> None:
        self._done: int | None = None
        self._stores: deque[tuple[float, int]] = deque()

    def look(self, done: int, at: float) -> float | None:
        """None until two stores were seen, `_WINDOW` seconds apart or more.

        `at` is in seconds, `done` a count of documents.
        """
        if self._done is not None and done != self._done:
            self._stores.append((at, done))
        self._done = done
        while len(self._stores) > 2 and self._stores[-1][0] - self._stores[1][0] >= _WINDOW:
            self._stores.popleft()
        if not self._stores:
            return None
        (then, before), (now, after) = self._stores[0], self._stores[-1]
        return (after - before) / (now - then) if now - then >= _WINDOW else None


def describe(job: JobStatusView, recent: float | None) -> str:
    """What stands beside the bar: the `recent` speed, else that since the job started."""
    parts = [] if job.status == JobStatus.IN_PROGRESS else [job.status]
    if recent and not job.over:
        parts.append(output.speed(recent))
    elif job.throughput:
        parts.append(output.speed(job.throughput.documents_per_second))
    if job.eta_seconds and not job.over:
        parts.append(output.left(job.eta_seconds))
    if job.note:
        parts.append(f"{job.note['code']}, {output.next_try(job.note['next_try_at'])}")
    return ", ".join(parts)


def describe_failures(failures: Sequence[Failures]) -> str:
    """How many documents failed, by reason."""
    return ", ".join(f"{each.documents:,} {each.code}" for each in failures)


def _with_bar(client: Client, job: Job, check: Callable[[], None]) -> JobStatusView:
    columns = (
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f}  {task.description}"),
        TextColumn("[red]{task.fields[failures]}"),
    )
    speed, reasons = Speed(), partial(job.failures, samples=0)
    with Progress(*columns, console=Console(stderr=True, highlight=False)) as progress:
        status = client.patiently(job.status)
        # On a line of its own: beside the bar, 80 columns are too few for it.
        progress.console.print(" ".join(filter(None, (job.id, status.name))), markup=False)
        bar = progress.add_task("", total=status.counts.total or 0, failures="")
        while True:
            done = status.counts.completed + status.counts.failed
            text = describe(status, speed.look(done, monotonic()))
            failures = client.patiently(reasons) if status.counts.failed else []
            progress.update(
                bar, completed=done, description=text, failures=describe_failures(failures)
            )
            if status.over:
                return status
            check()
            sleep(client.settings.timings.poll)
            status = client.patiently(job.status)


def _with_lines(client: Client, job: Job, check: Callable[[], None]) -> JobStatusView:
    said = monotonic()
    while not (status := client.patiently(job.status)).over:
        check()
        if monotonic() - said >= _LINE_EVERY:
            said = monotonic()
            output.hint(output.line(status))
        sleep(client.settings.timings.poll)
    return status

"""What the page of one job shows, asked for at once; read in a thread, shown by the sections."""

from dataclasses import dataclass

from jobs.states import JOB_OVER
from jobs.store import jobs, progress, summaries, workers
from jobs.store.jobs import JobRecord
from jobs.store.progress import AtWork, Cell, Timeline
from jobs.store.summaries import Failures
from producer.client import Client
from producer.status import JobStatusView, view

_SAMPLES = 3


@dataclass(frozen=True, slots=True)
class Look:
    """A job as it stands: cheap enough to be asked every two seconds."""

    record: JobRecord
    status: JobStatusView
    at_work: list[AtWork]
    missing: list[str]
    """What must run for the job to go on, and does not: `dispatcher`, `worker`."""


@dataclass(frozen=True, slots=True)
class Picture:
    """How it went: asked less often."""

    timeline: Timeline | None
    cells: list[Cell]
    failures: list[Failures]


def look(client: Client, job_id: str) -> Look:
    """Raises NotFound."""
    within = client.settings.timings.alive
    with client.database.transaction() as tx:
        record = jobs.get(tx, job_id)
        over = record.status in JOB_OVER
        alive = {role: workers.alive(tx, role, within) for role in ("dispatcher", "worker")}
        at_work = [] if over else progress.at_work(tx, job_id)
    missing = [] if over else [role for role, number in alive.items() if not number]
    return Look(record, view(record, alive["worker"]), at_work, missing)


def picture(client: Client, job_id: str) -> Picture:
    with client.database.transaction() as tx:
        return Picture(
            progress.timeline(tx, job_id),
            progress.strip(tx, job_id),
            summaries.failures(tx, job_id, _SAMPLES),
        )

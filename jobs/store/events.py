"""What became of a job, in order: a trigger writes each of its states down (migration 0010)."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from jobs.database import Transaction
from jobs.states import JobStatus
from jobs.tables import events


@dataclass(frozen=True, slots=True)
class Event:
    """A job came to a state. Ids rise, as whoever changes a job holds its row until the end."""

    id: int
    status: JobStatus
    created_at: datetime


def after(tx: Transaction, job_id: str, event_id: int) -> list[Event]:
    """Those of a job that came after an event, or all after 0, the first one first."""
    wanted = select(events.c.id, events.c.status, events.c.created_at).where(
        events.c.job_id == job_id, events.c.id > event_id
    )
    return [
        Event(row.id, JobStatus(row.status), row.created_at)
        for row in tx.execute(wanted.order_by(events.c.id))
    ]

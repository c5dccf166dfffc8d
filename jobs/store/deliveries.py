"""What is owed to the webhooks of jobs that are over.

A row is made by the database, with the status that it tells of. To send it is to claim it for a
while: whoever claims it and dies leaves it to the next. Any number may claim at once.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, select, update

from jobs.database import Transaction
from jobs.store import clock
from jobs.tables import DELIVERY_PENDING, deliveries, events, jobs


@dataclass(frozen=True, slots=True)
class Claim:
    """One delivery, to be sent now by who claimed it."""

    event_id: int
    job_id: str
    owner: str | None
    url: str
    status: str
    """That the job ended with."""
    created_at: datetime
    body: str | None
    """What was sent before; None where nothing was."""
    tries: int
    """This one included: who claims it later has another number."""


def claim(tx: Transaction, seconds: float) -> Claim | None:
    """What is due, by nobody else claimed, for `seconds`; what was never tried before what was,
    so that a receiver that is slow holds up its own."""
    due = (
        select(deliveries.c.event_id)
        .where(DELIVERY_PENDING, deliveries.c.next_attempt_at <= clock.now())
        .order_by(deliveries.c.tries, deliveries.c.next_attempt_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    found = tx.execute(due).scalar_one_or_none()
    if found is None:
        return None
    tx.execute(
        update(deliveries)
        .where(deliveries.c.event_id == found)
        .values(tries=deliveries.c.tries + 1, next_attempt_at=clock.after(seconds))
    )
    own = (deliveries.c.event_id, deliveries.c.job_id, deliveries.c.body, deliveries.c.tries)
    of_job = (jobs.c.owner, jobs.c.webhook.label("url"))
    row = tx.execute(
        select(*own, *of_job, events.c.status, events.c.created_at)
        .join(events, events.c.id == deliveries.c.event_id)
        .join(jobs, jobs.c.id == deliveries.c.job_id)
        .where(deliveries.c.event_id == found)
    ).mappings()
    return Claim(**row.one())


def keep_body(tx: Transaction, claimed: Claim, body: str) -> None:
    """All tries send the same."""
    tx.execute(
        update(deliveries).where(deliveries.c.event_id == claimed.event_id).values(body=body)
    )


def delivered(tx: Transaction, claimed: Claim) -> None:
    _settle(tx, claimed, state="delivered", next_attempt_at=None, last_error=None)


def again(tx: Transaction, claimed: Claim, error: str, seconds: float) -> None:
    """It is tried again after `seconds`."""
    _settle(tx, claimed, next_attempt_at=clock.after(seconds), last_error=error)


def give_up(tx: Transaction, claimed: Claim, error: str) -> None:
    _settle(tx, claimed, state="given_up", next_attempt_at=None, last_error=error)


def _settle(tx: Transaction, claimed: Claim, **values: object) -> None:
    """Nothing where somebody claimed it since."""
    mine = and_(deliveries.c.event_id == claimed.event_id, deliveries.c.tries == claimed.tries)
    tx.execute(update(deliveries).where(mine, DELIVERY_PENDING).values(**values))

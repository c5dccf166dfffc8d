"""Run windows as rows know them: whether a job may run now, and when its window opens next."""

from datetime import datetime

from sqlalchemy import ColumnElement, and_, or_, select, update

from jobs.database import Transaction
from jobs.states import JOB_UNFINISHED
from jobs.store import clock
from jobs.tables import jobs


def are_open() -> ColumnElement[bool]:
    """A condition on jobs: no window, or one that is open by the database's clock."""
    return or_(
        jobs.c.run_window.is_(None),
        and_(jobs.c.opens_at <= clock.now(), clock.now() < jobs.c.closes_at),
    )


def passed(tx: Transaction) -> list[tuple[str, str]]:
    """Jobs whose window's known interval has passed: their ids and windows."""
    passed = select(jobs.c.id, jobs.c.run_window).where(
        jobs.c.status.in_(JOB_UNFINISHED), jobs.c.closes_at <= clock.now()
    )
    return [(job_id, window) for job_id, window in tx.execute(passed)]


def set_interval(tx: Transaction, job_id: str, interval: tuple[datetime, datetime]) -> None:
    opens_at, closes_at = interval
    tx.execute(
        update(jobs).where(jobs.c.id == job_id).values(opens_at=opens_at, closes_at=closes_at)
    )

"""Whether a job may run now, as far as its run window goes."""

from sqlalchemy import ColumnElement, and_, or_

from jobs.store import clock
from jobs.tables import jobs


def are_open() -> ColumnElement[bool]:
    """A condition on jobs: no window, or one that is open by the database's clock."""
    return or_(
        jobs.c.run_window.is_(None),
        and_(jobs.c.opens_at <= clock.now(), clock.now() < jobs.c.closes_at),
    )

"""Why a job waits although nothing is wrong with it: the last error that may pass.

Written where work is put off, and gone with the next thing that succeeds or ends the job.
"""

from sqlalchemy import BigInteger, ColumnElement, cast, func, update

from jobs.database import Transaction
from jobs.store import clock
from jobs.tables import JSONB, jobs


def trying_again(code: str, message: str, seconds: float) -> ColumnElement[object]:
    """A note as JSON, with the time of the next try in unix seconds."""
    next_try_at = cast(func.extract("epoch", clock.after(seconds)), BigInteger)
    fields = ("code", code, "message", message, "next_try_at", next_try_at)
    return func.jsonb_build_object(*fields, type_=JSONB)


def write(tx: Transaction, job_id: str, note: ColumnElement[object]) -> None:
    tx.execute(update(jobs).where(jobs.c.id == job_id).values(note=note))


def clear(tx: Transaction, job_id: str) -> None:
    tx.execute(update(jobs).where(jobs.c.id == job_id, jobs.c.note.is_not(None)).values(note=None))

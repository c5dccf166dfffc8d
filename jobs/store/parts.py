"""Parts of long documents: their summaries, kept until the document's own is stored.

They are no results: nothing counts them, and nobody reads them but a worker that goes on where
another stopped.
"""

from collections.abc import Sequence
from dataclasses import asdict, fields

from sqlalchemy import delete, or_, select

from jobs.database import Transaction
from jobs.job import Part
from jobs.store import given
from jobs.tables import parts

_FIELDS = tuple(field.name for field in fields(Part))
_KEY = ("job_id", "index", "depth", "part")

_INSERT = given.insert_of_job(parts, _FIELDS)
_CHANGED = [name for name in _FIELDS if name not in _KEY]
# Where the text was cut elsewhere before, by another version, what is said last holds.
_KEEP = _INSERT.on_conflict_do_update(
    index_elements=_KEY,
    set_={name: _INSERT.excluded[name] for name in _CHANGED},
    where=or_(*(parts.c[name] != _INSERT.excluded[name] for name in _CHANGED)),
).returning(parts.c.part)


def keep(tx: Transaction, job_id: str, made: Sequence[Part]) -> int:
    """Store them; returns how many are not stored already."""
    if not made:
        return 0
    rows = [asdict(part) for part in made]
    return len(list(tx.execute(_KEEP, {"job": job_id, "rows": rows}).scalars()))


def kept(tx: Transaction, job_id: str, start: int, stop: int) -> list[Part]:
    """Those of the documents `start <= index < stop`, in order."""
    column = parts.c
    found = tx.execute(
        select(*(column[name] for name in _FIELDS))
        .where(column.job_id == job_id, column.index >= start, column.index < stop)
        .order_by(column.index, column.depth, column.part)
    )
    return [Part(*row) for row in found]


def forget(tx: Transaction, job_id: str, indexes: Sequence[int]) -> None:
    """Delete those of documents that are over."""
    if indexes:
        tx.execute(delete(parts).where(parts.c.job_id == job_id, parts.c.index.in_(indexes)))

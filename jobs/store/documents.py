"""Inline documents: those that came with the submission and lie in SQL."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from jobs.database import Transaction
from jobs.documents import Document
from jobs.errors import DocumentError
from jobs.store import given
from jobs.tables import documents

_INSERT = given.insert_of_job(documents, ("index", "id", "text", "reference", "error"))


# PostgreSQL takes no value above a gigabyte.
_CHARACTERS_AT_ONCE = 4_000_000


def add(tx: Transaction, job_id: str, batch: Sequence[Document]) -> None:
    rows: list[dict[str, Any]] = []
    size = 0
    for document in batch:
        rows.append(_row(document))
        size += len(document.text or "")
        if size >= _CHARACTERS_AT_ONCE:
            tx.execute(_INSERT, {"job": job_id, "rows": rows})
            rows, size = [], 0
    if rows:
        tx.execute(_INSERT, {"job": job_id, "rows": rows})


def read(tx: Transaction, job_id: str, start: int, stop: int) -> list[Document]:
    """Documents `start <= index < stop`, in order."""
    column = documents.c
    rows = tx.execute(
        select(column.index, column.text, column.id, column.reference, column.error)
        .where(column.job_id == job_id, column.index >= start, column.index < stop)
        .order_by(column.index)
    )
    return [
        Document(index, text, identifier, reference, DocumentError(**error) if error else None)
        for index, text, identifier, reference, error in rows
    ]


def _row(document: Document) -> dict[str, Any]:
    return {
        "index": document.index,
        "id": document.id,
        "text": document.text,
        "reference": document.reference,
        "error": _error(document),
    }


def _error(document: Document) -> dict[str, str] | None:
    if document.error is None:
        return None
    return {"code": document.error.code, "message": document.error.message}

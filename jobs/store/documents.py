"""Inline documents: those that came with the submission and lie in SQL."""

from collections.abc import Sequence

from sqlalchemy import insert, select

from jobs.database import Transaction
from jobs.documents import Document
from jobs.errors import DocumentError
from jobs.tables import documents


def add(tx: Transaction, job_id: str, batch: Sequence[Document]) -> None:
    tx.execute(
        insert(documents),
        [
            {
                "job_id": job_id,
                "index": document.index,
                "id": document.id,
                "text": document.text,
                "reference": document.reference,
                "error": _error(document),
            }
            for document in batch
        ],
    )


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


def _error(document: Document) -> dict[str, str] | None:
    if document.error is None:
        return None
    return {"code": document.error.code, "message": document.error.message}

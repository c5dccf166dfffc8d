"""The row that a document ends with: the only place where one is made."""

from collections.abc import Sequence

from jobs.documents import Document
from jobs.job import Row
from worker.items import Item, Outcome, Refusal


def of(item: Item, outcome: Outcome) -> Row:
    """Of a document that is one item."""
    if isinstance(outcome, Refusal):
        return refused(item, outcome)
    return done(
        item.document,
        outcome.text,
        outcome.finish_reason,
        input_tokens=item.encoded.tokens,
        output_tokens=outcome.tokens,
        truncated=item.encoded.truncated,
        digest=item.digest,
    )


def done(
    document: Document,
    summary: str,
    finish_reason: str,
    *,
    input_tokens: int,
    output_tokens: int,
    truncated: bool,
    depth: int = 0,
    spans: Sequence[tuple[int, int]] | None = None,
    digest: str | None = None,
) -> Row:
    """Of a document with a summary; tokens are those of all its parts."""
    return Row(
        index=document.index,
        id=document.id,
        summary=summary,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        truncated=truncated,
        finish_reason=finish_reason,
        error_code=None,
        error_message=None,
        reference=document.reference,
        depth=depth,
        spans=spans,
        digest=digest,
    )


def refused(item: Item, refusal: Refusal) -> Row:
    """Of a document that the model refuses, or a part of which it does."""
    where = f"document {item.document.index}"
    if item.part is not None:
        where += f", part {item.part.number + 1}"
    return failed(item.document, refusal.code, f"{where}: {refusal.message}")


def failed(document: Document, code: str, message: str) -> Row:
    """Of a document that has no summary."""
    return Row(
        index=document.index,
        id=document.id,
        summary=None,
        input_tokens=0,
        output_tokens=0,
        truncated=False,
        finish_reason=None,
        error_code=code,
        error_message=message,
        reference=document.reference,
    )

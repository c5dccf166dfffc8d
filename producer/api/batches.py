"""`/v1/batches`: created, listed, looked at and cancelled, as OpenAI's clients do it."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query
from pydantic import BaseModel, ConfigDict

from jobs.errors import UsageError
from producer.api.apart import Apart
from producer.api.guard import Reading, Submitting
from producer.batches import calls
from producer.batches.calls import Order

router = APIRouter(tags=["batches"])

_checked = Apart(2)


class BatchRequest(BaseModel):
    """A batch to be made of an uploaded file."""

    model_config = ConfigDict(extra="ignore", strict=True, use_attribute_docstrings=True)

    input_file_id: str
    """Of a file that was uploaded with `purpose=batch`."""
    endpoint: str
    """`/v1/chat/completions`."""
    completion_window: str
    """`24h`, `90m`, `7d`: what is not done by then expires."""
    metadata: dict[str, str] | None = None
    """At most 16 pairs."""


class BatchError(BaseModel):
    code: str
    message: str
    param: str | None
    line: int | None


class BatchErrors(BaseModel):
    object: Literal["list"]
    data: list[BatchError]


class RequestCounts(BaseModel):
    total: int
    completed: int
    failed: int


class InputTokens(BaseModel):
    cached_tokens: int


class OutputTokens(BaseModel):
    reasoning_tokens: int


class BatchUsage(BaseModel):
    input_tokens: int
    input_tokens_details: InputTokens
    output_tokens: int
    output_tokens_details: OutputTokens
    total_tokens: int


class Batch(BaseModel):
    """A batch as it stands. Times are unix seconds."""

    id: str
    object: Literal["batch"]
    endpoint: str
    model: str | None
    errors: BatchErrors | None
    input_file_id: str
    completion_window: str
    status: Literal[
        "validating",
        "failed",
        "in_progress",
        "finalizing",
        "completed",
        "expired",
        "cancelling",
        "cancelled",
    ]
    output_file_id: str | None
    error_file_id: str | None
    created_at: int
    in_progress_at: int | None
    expires_at: int
    finalizing_at: int | None
    completed_at: int | None
    failed_at: int | None
    expired_at: int | None
    cancelling_at: int | None
    cancelled_at: int | None
    request_counts: RequestCounts
    usage: BatchUsage
    metadata: dict[str, str] | None


class Batches(BaseModel):
    """A page of batches."""

    object: Literal["list"]
    data: list[Batch]
    first_id: str | None
    last_id: str | None
    has_more: bool


@router.post("/v1/batches")
@_checked
def create_batch(
    client: Submitting,
    body: BatchRequest,
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
) -> Batch:
    """Make a batch of a file; one with mistakes in it has failed at once, and says where.

    Under a key that has made one already, the answer is that one.
    """
    order = Order(body.input_file_id, body.endpoint, body.completion_window, body.metadata)
    return Batch(**calls.create(client, order, idempotency_key))


@router.get("/v1/batches")
def list_batches(
    client: Reading,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: str | None = None,
) -> Batches:
    """Batches, the newest first."""
    return Batches(**calls.listed(client, limit, after))


@router.get("/v1/batches/{batch_id}")
def get_batch(client: Reading, batch_id: str) -> Batch:
    """A batch as it stands."""
    return Batch(**calls.get(client, batch_id))


@router.post("/v1/batches/{batch_id}/cancel")
def cancel_batch(client: Submitting, batch_id: str) -> Batch:
    """Stop it; what is done is kept."""
    return Batch(**calls.cancel(client, batch_id))


@router.post("/v1/chat/completions", include_in_schema=False)
def complete(client: Submitting) -> Any:  # noqa: ARG001 - a token is needed for this too
    """What is not here, said to those whose client takes it for granted."""
    raise UsageError(
        "completions are made in batches alone; upload a file of such requests (POST /v1/files, "
        "purpose=batch) and make a batch of it (POST /v1/batches)"
    )

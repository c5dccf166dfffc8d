"""`/v1/jobs/{id}/submission`: what a job was submitted with, and what came of it: all that the card
of a dataset says of how it was made."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from producer.api.guard import Reading
from producer.status import public_source

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


class Submission(BaseModel):
    """A job as it was asked for, and as it was settled."""

    source: dict[str, Any]
    model: str
    model_revision: str | None
    engine: str | None
    dtype: str | None
    requested: dict[str, Any]
    parameters: dict[str, Any] | None
    total: int | None


@router.get("/{job_id}/submission")
def get_submission(client: Reading, job_id: str) -> Submission:
    """What a job was submitted with. Its generation parameters stand in `generation`."""
    made = client.mill.made(client.job(job_id).id)
    return Submission(
        source=public_source(made.source),
        model=made.model,
        model_revision=made.model_revision,
        engine=made.engine,
        dtype=made.dtype,
        requested=made.requested,
        parameters=made.parameters,
        total=made.total,
    )

"""`/v1/jobs/{id}/submission`: what a job was submitted with, and what came of it: all that the card
of a dataset says of how it was made."""

from fastapi import APIRouter

from producer.api.guard import Reading
from producer.status import SubmissionView, public_source

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


@router.get("/{job_id}/submission")
def get_submission(client: Reading, job_id: str) -> SubmissionView:
    """What a job was submitted with. Its generation parameters stand in `generation`."""
    made = client.mill.made(client.job(job_id).id)
    return SubmissionView(
        source=public_source(made.source),
        model=made.model,
        model_revision=made.model_revision,
        engine=made.engine,
        dtype=made.dtype,
        requested=made.requested,
        parameters=made.parameters,
        total=made.total,
    )

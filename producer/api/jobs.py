"""`/v1/jobs`: submitted, listed, looked at and changed. Who asks sees only their own jobs: another
one's answers as one that does not exist."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response

from jobs.documents import storable
from jobs.errors import UsageError
from jobs.states import JobStatus
from producer.api import bodies, views
from producer.api.apart import Apart
from producer.api.bodies import JobRequest
from producer.api.guard import Reading, Submitting
from producer.status import JobStatusView

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

# All of a source is read, or its files asked for at the hub.
_submitted = Apart(4)


@router.post(
    "",
    status_code=201,
    responses={200: {"model": JobStatusView, "description": "The key led to this earlier job"}},
)
@_submitted
def create_job(
    client: Submitting,
    body: JobRequest,
    response: Response,
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
) -> JobStatusView:
    """Submit a job. 200 where the key led to an earlier one with the same content."""
    given = bodies.located(client, body)
    job = client.submit(given, idempotency_key=idempotency_key, **body.options())
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    if not job.new:
        response.status_code = 200
    return job.status()


@router.get("")
def list_jobs(
    client: Reading,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    before: str | None = None,
    status: Annotated[list[JobStatus] | None, Query()] = None,
    label: Annotated[list[str] | None, Query()] = None,
    containing: Annotated[str, Query(max_length=200)] = "",
) -> views.Jobs:
    """Jobs, the newest first; with `containing` those that have it in their name, model or id."""
    found = client.jobs(
        limit + 1,
        _labels(label or []),
        statuses=status or (),
        before=before,
        containing=containing,
    )
    return views.jobs(found, limit)


@router.get("/{job_id}")
def get_job(client: Reading, job_id: str) -> JobStatusView:
    """A job as it stands."""
    return client.job(job_id).status()


def _labels(words: list[str]) -> dict[str, str]:
    """Raises UsageError."""
    found: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key or key in found:
            raise UsageError(
                f"label {storable(word)!r}: write it as key=value, each key once, as in "
                "label=user=ann"
            )
        found[key] = value
    return found

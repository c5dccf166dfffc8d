"""`/v1/jobs/{id}/results`: a job's rows, streamed as they are read; also while it runs."""

from collections.abc import Iterator

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from producer import formats
from producer.api.guard import Reading
from producer.job import Job

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["results"])

_STATUS = "X-Gistmill-Status"


@router.get("/results", response_class=StreamingResponse)
def get_results(client: Reading, job_id: str) -> StreamingResponse:
    """The rows in order of index, failed documents included; of a running job, what is stored."""
    job = client.job(job_id)
    headers = {_STATUS: job.status().status}
    return StreamingResponse(_lines(job), media_type="application/x-ndjson", headers=headers)


def _lines(job: Job) -> Iterator[bytes]:
    with job.listing() as listing:
        for row in listing.rows():
            yield formats.as_json(row).encode() + b"\n"

"""`/v1/jobs/{id}/failures`, `evaluation` and `diff`: what became of a job's documents, and what its
summaries are worth."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel

from producer.api.apart import Apart
from producer.api.guard import Reading

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["reports"])

_scored = Apart(2)

Samples = Annotated[int, Query(ge=0, le=1000)]


class Sample(BaseModel):
    """A document that failed."""

    index: int
    id: str | None
    message: str


class Reason(BaseModel):
    """The documents that failed with the same error code. Times are unix seconds."""

    code: str
    documents: int
    first_seen: int
    last_seen: int
    samples: list[Sample]


class Reasons(BaseModel):
    """The most frequent first."""

    object: Literal["list"] = "list"
    data: list[Reason]


@router.get("/failures")
def get_failures(client: Reading, job_id: str, samples: Samples = 3) -> Reasons:
    """Why documents failed, with samples."""
    found = client.job(job_id).failures(samples)
    return Reasons(
        data=[
            Reason(
                **{
                    **asdict(each),
                    "first_seen": int(each.first_seen.timestamp()),
                    "last_seen": int(each.last_seen.timestamp()),
                }
            )
            for each in found
        ]
    )


@router.get("/evaluation")
@_scored
def get_evaluation(
    client: Reading,
    job_id: str,
    samples: Samples = 3,
    reference_column: str | None = None,
    read_documents: bool = True,
) -> dict[str, Any]:
    """Scores beside lead-3, and what is odd: docs/evaluation.md has the keys."""
    job = client.job(job_id)
    found = job.evaluate(samples, reference_column=reference_column, read_documents=read_documents)
    return found.to_json()


@router.get("/diff/{other}")
@_scored
def get_diff(client: Reading, job_id: str, other: str, samples: Samples = 3) -> dict[str, Any]:
    """This job, a, beside another one, b: docs/evaluation.md has the keys."""
    return client.job(job_id).diff(client.job(other), samples).to_json()

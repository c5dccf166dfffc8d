"""`/v1/jobs/{id}/cancel` and the like: what is asked of a job; 409 where its state forbids it."""

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from producer.api.bodies import Body
from producer.api.guard import Administering, Submitting
from producer.status import JobStatusView

router = APIRouter(prefix="/v1", tags=["jobs"])


class NewPriority(Body):
    priority: Annotated[int, Field(ge=-1000, le=1000)]
    """Higher ones go first."""


class WhatFailed(Body):
    error: str | None = None
    """An error code: only what failed of it is done again."""


class Retried(BaseModel):
    """What is done again, in documents."""

    failed: int
    unfinished: int
    """Those of shards that were cut off before they were done."""
    job: JobStatusView


class Old(Body):
    older_than: Annotated[float, Field(ge=0, le=1e10)]
    """Seconds for which the jobs have been over."""
    dry_run: bool = False


class Purged(BaseModel):
    """The ids of jobs that are deleted, or would be."""

    object: Literal["list"] = "list"
    data: list[str]


@router.post("/jobs/{job_id}/cancel")
def cancel_job(client: Submitting, job_id: str) -> JobStatusView:
    """Stop a job for good; what is done is kept."""
    job = client.job(job_id)
    job.cancel()
    return job.status()


@router.post("/jobs/{job_id}/pause")
def pause_job(client: Submitting, job_id: str) -> JobStatusView:
    """Stop a job for now; batches in hand are finished."""
    job = client.job(job_id)
    job.pause()
    return job.status()


@router.post("/jobs/{job_id}/resume")
def resume_job(client: Submitting, job_id: str) -> JobStatusView:
    """Go on with a job that is paused, or was ended by its error rate."""
    job = client.job(job_id)
    job.resume()
    return job.status()


@router.post("/jobs/{job_id}/priority")
def set_priority(client: Submitting, job_id: str, body: NewPriority) -> JobStatusView:
    """Let a job go before others, or after them."""
    job = client.job(job_id)
    job.set_priority(body.priority)
    return job.status()


@router.post("/jobs/{job_id}/retry")
def retry_job(client: Submitting, job_id: str, body: WhatFailed | None = None) -> Retried:
    """Do again what failed in a job that is over, and what was cut off."""
    job = client.job(job_id)
    retried = job.retry(body.error if body else None)
    return Retried(failed=retried.failed, unfinished=retried.unfinished, job=job.status())


@router.post("/purge")
def purge(client: Administering, body: Old) -> Purged:
    """Delete jobs that have long been over, results and all."""
    return Purged(data=client.purge(body.older_than, dry_run=body.dry_run))

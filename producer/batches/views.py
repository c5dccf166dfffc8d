"""A batch as OpenAI's clients know it: every field of theirs, null where there is nothing."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from jobs.errors import NotFound
from jobs.states import JOB_OVER, JobStatus
from jobs.store.batches import BatchRecord
from jobs.store.jobs import JobRecord
from producer import times
from producer.status import public_words

OUTPUT, ERROR = "output", "error"
"""The two files of a batch."""

_FILE = "file-"
_BATCH = "batch_"

# A job that is paused is one in progress, to those who know no pause.
_STATUSES = {JobStatus.PAUSED: JobStatus.IN_PROGRESS}
_TIMED = (
    *("in_progress", "finalizing", "completed", "failed"),
    *("expired", "cancelling", "cancelled"),
)


def view(
    batch: BatchRecord, job: JobRecord | None, happened: Mapping[str, datetime]
) -> dict[str, Any]:
    """`job` is None for one whose file was refused, `happened` when the job took which state."""
    created = unix(batch.created_at)
    at = {f"{status}_at": _when(happened, status) for status in _TIMED}
    if job is None:
        at["failed_at"] = created
    expires = created + int(times.duration(batch.completion_window))
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.endpoint,
        "model": batch.model,
        "errors": _errors(batch, job),
        "input_file_id": batch.input_file_id,
        "completion_window": batch.completion_window,
        "status": status_of(job),
        "output_file_id": file_id(batch.id, OUTPUT) if has_file(job, OUTPUT) else None,
        "error_file_id": file_id(batch.id, ERROR) if has_file(job, ERROR) else None,
        "created_at": created,
        "expires_at": expires,
        **at,
        "request_counts": _counts(job),
        "usage": _usage(job),
        "metadata": batch.metadata,
    }


def status_of(job: JobRecord | None) -> str:
    status = JobStatus.FAILED if job is None else job.status
    return _STATUSES.get(status, status).value


def why_it_ended(job: JobRecord) -> dict[str, Any] | None:
    """The `code` and `message` of a job's error."""
    return public_words(job.source, job.error)


def has_file(job: JobRecord | None, which: str) -> bool:
    """Whether a batch that is over has a line to put in it."""
    if job is None or job.status not in JOB_OVER:
        return False
    if which == OUTPUT:
        return job.completed > 0
    # One that could not begin has an error of its own, and none of each request.
    begun = job.completed + job.failed > 0 or job.status != JobStatus.FAILED
    return begun and job.completed < (job.total or 0)


def file_id(batch_id: str, which: str) -> str:
    return f"{_FILE}{batch_id.removeprefix(_BATCH)}-{which}"


def of_file(file: str) -> tuple[str, str]:
    """The batch that a file is of, and which of its two. Raises NotFound for any other."""
    code, _, which = file.removeprefix(_FILE).rpartition("-")
    if not file.startswith(_FILE) or which not in (OUTPUT, ERROR):
        raise NotFound(f"no file {file!r}")
    return f"{_BATCH}{code}", which


def unix(time: datetime) -> int:
    return int(time.timestamp())


def _when(happened: Mapping[str, datetime], status: str) -> int | None:
    return unix(happened[status]) if status in happened else None


def _errors(batch: BatchRecord, job: JobRecord | None) -> dict[str, Any] | None:
    found = batch.errors
    if job is not None and job.status == JobStatus.FAILED:
        found = [{**(why_it_ended(job) or {}), "param": None, "line": None}]
    return None if found is None else {"object": "list", "data": found}


def _counts(job: JobRecord | None) -> dict[str, int]:
    if job is None:
        return {"total": 0, "completed": 0, "failed": 0}
    return {"total": job.total or 0, "completed": job.completed, "failed": job.failed}


def _usage(job: JobRecord | None) -> dict[str, Any]:
    read, written = (job.input_tokens, job.output_tokens) if job else (0, 0)
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": read + written,
    }

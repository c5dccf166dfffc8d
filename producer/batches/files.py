"""The output and error files of batches, as files that OpenAI's clients list, read and delete.

They lie nowhere: their lines are made from SQL. How many bytes that are is counted once, when it
is first asked for, and kept.
"""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from jobs.errors import NotFound
from jobs.states import JOB_OVER
from jobs.store import batches, jobs
from jobs.store.batches import BatchRecord
from jobs.store.jobs import JobRecord
from producer.batches import views
from producer.batches.outputs import Lines
from producer.batches.views import ERROR, OUTPUT
from producer.client import Client


def is_one(file_id: str) -> bool:
    """Whether an id is of such a file, if there is one."""
    return file_id.endswith((f"_{OUTPUT}", f"_{ERROR}"))


def get(client: Client, file_id: str) -> dict[str, Any]:
    """Raises NotFound."""
    batch, job, which = _found(client, file_id)
    return _view(client, batch, job, which)


def listed(client: Client) -> list[dict[str, Any]]:
    """All of them, in no order."""
    with client.database.transaction() as tx:
        over = batches.over(tx, client.caller.only)
        records = jobs.several(tx, [each.job_id for each in over if each.job_id])
    return [
        _view(client, batch, job, which)
        for batch in over
        if (job := records.get(batch.job_id or ""))
        for which in (OUTPUT, ERROR)
        if _has(batch, job, which)
    ]


def content(client: Client, file_id: str) -> Iterator[bytes]:
    """Its lines. Raises NotFound, at once."""
    batch, job, which = _found(client, file_id)
    return _lines(client, batch, job, which)


def delete(client: Client, file_id: str) -> None:
    """The job that it is made from stays, and can be read as a job. Raises NotFound."""
    batch, _, which = _found(client, file_id)
    with client.database.transaction() as tx:
        batches.delete_file(tx, batch.id, which)


def _found(client: Client, file_id: str) -> tuple[BatchRecord, JobRecord, str]:
    batch_id, which = views.of_file(file_id)
    with client.database.transaction() as tx:
        try:
            batch = batches.get(tx, batch_id, client.caller.only)
        except NotFound:
            raise NotFound(f"no file {file_id!r}") from None
        job = jobs.get(tx, batch.job_id) if batch.job_id else None
    if job is None or not _has(batch, job, which):
        raise NotFound(f"no file {file_id!r}")
    return batch, job, which


def _has(batch: BatchRecord, job: JobRecord, which: str) -> bool:
    return which not in batch.deleted and views.has_file(job, which)


def _lines(client: Client, batch: BatchRecord, job: JobRecord, which: str) -> Iterator[bytes]:
    with closing(client.sources()) as sources:
        yield from Lines(client.database, sources, batch.id, job).of(which)


def _view(client: Client, batch: BatchRecord, job: JobRecord, which: str) -> dict[str, Any]:
    ended = job.finished_at or batch.created_at
    return {
        "id": views.file_id(batch.id, which),
        "object": "file",
        "bytes": _size(client, batch, job, which),
        "created_at": views.unix(ended),
        "expires_at": None,
        "filename": f"{batch.id}_{which}.jsonl",
        "purpose": "batch_output",
        "status": "processed",
        "status_details": None,
    }


def _size(client: Client, batch: BatchRecord, job: JobRecord, which: str) -> int:
    """In bytes. Kept for the end of the job that it was counted at: a retry has another."""
    assert job.status in JOB_OVER  # noqa: S101 - no other has files
    end = job.finished_at.isoformat() if job.finished_at else ""
    kept = batch.sizes if batch.sizes and batch.sizes["end"] == end else {"end": end}
    if which in kept:
        return int(kept[which])
    size = sum(len(line) for line in _lines(client, batch, job, which))
    with client.database.transaction() as tx:
        now = batches.get(tx, batch.id, None).sizes
        kept = now if now and now["end"] == end else {"end": end}
        batches.keep_sizes(tx, batch.id, {**kept, which: size})
    return size

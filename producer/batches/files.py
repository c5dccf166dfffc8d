"""The output and error files of batches, as files that OpenAI's clients list, read and delete.

They lie nowhere: their lines are made from SQL. How many bytes that are is counted once, when it
is first asked for, and kept.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

from jobs.documents import storable
from jobs.errors import NotFound, UsageError
from jobs.store import batches, files, jobs
from jobs.store.batches import BatchRecord
from jobs.store.files import FileRecord
from jobs.store.jobs import JobRecord
from producer.batches import views
from producer.batches.outputs import Lines
from producer.batches.views import ERROR, OUTPUT
from producer.client import Client

PURPOSE = "batch_output"


def is_one(file_id: str) -> bool:
    """Whether an id is of such a file, if there is one."""
    return file_id.endswith((f"-{OUTPUT}", f"-{ERROR}"))


@dataclass(frozen=True, slots=True)
class BatchFile:
    """A file of a batch, whose job is over."""

    client: Client
    batch: BatchRecord
    job: JobRecord
    which: str

    @property
    def id(self) -> str:
        return views.file_id(self.batch.id, self.which)

    @property
    def created_at(self) -> datetime:
        return self.job.finished_at or self.batch.created_at

    def record(self) -> FileRecord:
        """As one that was uploaded, but for where it lies."""
        return FileRecord(
            id=self.id,
            owner=self.batch.owner,
            purpose=PURPOSE,
            filename=f"{self.batch.id}_{self.which}.jsonl",
            bytes=self._size(),
            location="",
            created_at=self.created_at,
        )

    def lines(self) -> Iterator[bytes]:
        """Raises what `reading.reading` does where the input file can not be read any more."""
        with closing(self.client.sources()) as sources:
            made = Lines(self.client.database, sources, self.batch.id, self.job)
            yield from made.of(self.which)

    def delete(self) -> None:
        """The job that it is made from stays, and can be read as a job."""
        with self.client.database.transaction() as tx:
            batches.delete_file(tx, self.batch.id, self.which)

    def _size(self) -> int:
        """In bytes. Kept for the end of the job that it was counted at: a retry has another."""
        end = self.created_at.isoformat()
        kept = self.batch.sizes
        if kept and kept["end"] == end and self.which in kept:
            return int(kept[self.which])
        size = sum(len(line) for line in self.lines())
        with self.client.database.transaction() as tx:
            now = batches.get(tx, self.batch.id, None).sizes
            others = now if now and now["end"] == end else {}
            batches.keep_sizes(tx, self.batch.id, {**others, "end": end, self.which: size})
        return size


def get(client: Client, file_id: str) -> BatchFile:
    """Raises NotFound."""
    batch_id, which = views.of_file(file_id)
    with client.database.transaction() as tx:
        try:
            batch = batches.get(tx, batch_id, client.caller.only)
        except NotFound:
            raise _no_file(file_id) from None
        job = jobs.get(tx, batch.job_id) if batch.job_id else None
    if job is None or not _has(batch, job, which):
        raise _no_file(file_id)
    return BatchFile(client, batch, job, which)


def page(
    client: Client,
    limit: int,
    *,
    purpose: str | None = None,
    after: str | None = None,
    order: files.Order = "desc",
) -> list[FileRecord]:
    """Those that were uploaded and those of batches, by when they came; behind the file `after`,
    if one is named. Raises NotFound where there is no such file."""
    behind = None if after is None else _place(client, after)
    with client.database.transaction() as tx:
        uploaded = files.page(tx, limit, client.caller, purpose=purpose, behind=behind, order=order)
    others = all_of(client) if purpose in (None, PURPOSE) else []
    newest_first = order == "desc"
    there: list[BatchFile | FileRecord] = [*uploaded]
    there += [each for each in others if behind is None or (_at(each) < behind) == newest_first]
    there = [each for each in there if behind is None or _at(each) != behind]
    there.sort(key=_at, reverse=newest_first)
    return [each.record() if isinstance(each, BatchFile) else each for each in there[:limit]]


def all_of(client: Client) -> list[BatchFile]:
    """All files of batches that this caller may see, in no order."""
    with client.database.transaction() as tx:
        over = batches.over(tx, client.caller.only)
        records = jobs.several(tx, [each.job_id for each in over if each.job_id])
    return [
        BatchFile(client, batch, job, which)
        for batch in over
        if (job := records.get(batch.job_id or ""))
        for which in (OUTPUT, ERROR)
        if _has(batch, job, which)
    ]


def refuse_if_read(client: Client, file_id: str) -> None:
    """Raises UsageError where a batch still has to read an uploaded file."""
    with client.database.transaction() as tx:
        for batch_id, over in batches.reading(tx, file_id):
            why = "was cut off, and its error file is made from it" if over else "is not over"
            raise UsageError(f"file: {file_id} is that of {batch_id}, which {why}")


def _place(client: Client, file_id: str) -> files.Place:
    if is_one(file_id):
        return _at(get(client, file_id))
    with client.database.transaction() as tx:
        return _at(files.get(tx, file_id, client.caller))


def _at(file: BatchFile | FileRecord) -> files.Place:
    return file.created_at, file.id


def _has(batch: BatchRecord, job: JobRecord, which: str) -> bool:
    return which not in batch.deleted and views.has_file(job, which)


def _no_file(file_id: str) -> NotFound:
    return NotFound(f"no file {storable(file_id)!r}; GET /v1/files lists them")

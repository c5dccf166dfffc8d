"""What OpenAI's clients ask of batches: create, retrieve, list, cancel.

Each for one caller, whose client it is given: others' batches are as if they were not there.
A file is checked while it is asked for, so that no batch waits for a check that nobody makes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from jobs.columns import Asked as AskedColumns
from jobs.database import Transaction
from jobs.documents import storable
from jobs.errors import KeyTaken, UsageError
from jobs.sources import chat
from jobs.sources.asked import Asked
from jobs.sources.opened import lines
from jobs.states import JobStatus
from jobs.store import batches, control, jobs
from jobs.store.batches import BatchRecord, NewBatch
from jobs.store.files import FileRecord
from producer import times, uploads
from producer.batches import bodies, views
from producer.batches.checking import ENDPOINT, check
from producer.client import Client
from producer.submit import Request

_PURPOSE = "batch"
_MOST_PAIRS = 16
_LONGEST_KEY, _LONGEST_VALUE = 64, 512
_COLUMNS = AskedColumns(text=chat.TEXT, id=chat.ID, reference="")


@dataclass(frozen=True, slots=True)
class Order:
    """What a batch is made of. Raises UsageError where that makes no sense."""

    input_file_id: str
    endpoint: str
    completion_window: str
    metadata: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        if self.endpoint != ENDPOINT:
            raise UsageError(f"endpoint {self.endpoint!r}: batches are for {ENDPOINT} alone")
        if self._seconds() <= 0:
            raise UsageError("completion_window: a time above 0; write it as 24h, 90m or 7d")
        for key, value in (self.metadata or {}).items():
            if len(key) > _LONGEST_KEY or len(value) > _LONGEST_VALUE:
                most = f"{_LONGEST_KEY} characters a key and {_LONGEST_VALUE} a value"
                raise UsageError(f"metadata {storable(key)[:80]!r}: at most {most}")
            if storable(key + value) != key + value:
                raise UsageError("metadata: holds NUL or is no Unicode; SQL can not keep it")
        if len(self.metadata or {}) > _MOST_PAIRS:
            raise UsageError(f"metadata: at most {_MOST_PAIRS} pairs")

    def deadline(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._seconds())

    def _seconds(self) -> float:
        try:
            return times.duration(self.completion_window)
        except UsageError as error:
            raise UsageError(f"completion_window: {error}") from None


def create(client: Client, order: Order, key: str | None = None) -> dict[str, Any]:
    """Under an idempotency `key` that is known already, the batch that it made. Raises NotFound
    where there is no such file, UsageError where it is none for a batch, KeyTaken where the key
    was for something else; what is wrong in a file is said by the batch, which has failed then.
    """
    file = _file(client, order.input_file_id)
    with uploads.reading(file) as opened:
        checked = check(lines(opened), client.mill.model)
    batch = NewBatch(
        id=batches.new_id(),
        owner=client.caller.token,
        input_file_id=file.id,
        endpoint=order.endpoint,
        model=checked.model,
        completion_window=order.completion_window,
        metadata=None if order.metadata is None else dict(order.metadata),
    )
    if checked.asked is None:
        errors = [asdict(each) for each in checked.errors]
        with client.database.transaction() as tx:
            batches.add(tx, replace(batch, errors=errors))
    else:
        return _submitted(client, order, batch, checked.asked, file, key)
    return get(client, batch.id)


def _submitted(
    client: Client,
    order: Order,
    batch: NewBatch,
    asked: bodies.Asked,
    file: FileRecord,
    key: str | None,
) -> dict[str, Any]:
    request = Request(
        model=asked.model,
        prompt=asked.prompt,
        only_chat=True,
        parameters=asked.parameters,
        labels={"batch": batch.id},
        deadline=order.deadline(),
        idempotency_key=key,
    )

    def beside(tx: Transaction, job_id: str) -> None:
        batches.add(tx, batch, job_id)

    job = client.submit_upload(request, file, Asked(_COLUMNS, format=chat.KIND), beside)
    return get(client, batch.id if job.new else _of_job(client, job.id))


def _of_job(client: Client, job_id: str) -> str:
    """The batch whose job a key led to."""
    with client.database.transaction() as tx:
        found = batches.of_job(tx, job_id)
    if found is None:
        raise KeyTaken(f"the idempotency key belongs to {job_id}, no batch; choose another key")
    return found.id


def _file(client: Client, file_id: str) -> FileRecord:
    file = client.file(file_id)
    if file.purpose != _PURPOSE:
        how = f"upload it with purpose={_PURPOSE!r}"
        raise UsageError(f"input_file_id: {file.id} is for {file.purpose!r}; {how}")
    return file


def get(client: Client, batch_id: str) -> dict[str, Any]:
    """Raises NotFound."""
    with client.database.transaction() as tx:
        found = batches.get(tx, batch_id, client.caller.only)
        return _viewed(tx, [found])[0]


def listed(client: Client, limit: int, after: str | None) -> dict[str, Any]:
    """A page, the newest first. Raises NotFound where there is no batch `after`."""
    with client.database.transaction() as tx:
        found = batches.latest(tx, limit + 1, client.caller.only, after)
        page = _viewed(tx, found[:limit])
    return {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": len(found) > limit,
    }


def cancel(client: Client, batch_id: str) -> dict[str, Any]:
    """What is done is kept. Raises NotFound, and UsageError where it is over."""
    with client.database.transaction() as tx:
        batch = batches.get(tx, batch_id, client.caller.only)
        if batch.job_id is None or not control.cancel(tx, batch.job_id):
            status = views.status_of(None if batch.job_id is None else jobs.get(tx, batch.job_id))
            if status != JobStatus.CANCELLING:
                raise UsageError(f"{batch.id} is {status}; only one that goes on can be cancelled")
        return _viewed(tx, [batch])[0]


def _viewed(tx: Transaction, found: Sequence[BatchRecord]) -> list[dict[str, Any]]:
    job_ids = [each.job_id for each in found if each.job_id is not None]
    records, happened = jobs.several(tx, job_ids), batches.times(tx, job_ids)
    return [
        views.view(each, records.get(each.job_id or ""), happened.get(each.job_id or "", {}))
        for each in found
    ]

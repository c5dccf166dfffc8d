"""`/v1/files`: uploaded, listed, read and deleted. The shapes are OpenAI's.

What is sent is streamed into the store; what is asked for, out of it.
"""

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, BinaryIO, Literal

from anyio import CancelScope
from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from jobs.errors import UsageError
from jobs.store import files
from jobs.store.files import FileRecord
from producer import uploads
from producer.api.guard import Reading, Submitting
from producer.api.multipart import Reading as FormReading
from producer.batches import files as batch_files
from producer.client import Client

router = APIRouter(prefix="/v1/files", tags=["files"])

_PIECE = 1 << 20
_LINES = "application/jsonl"
_LINES_AT_ONCE = 256


class FileObject(BaseModel):
    """An uploaded file, as OpenAI describes one."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: Literal["processed"] = "processed"
    status_details: None = None
    expires_at: int | None = None


class FileList(BaseModel):
    """A page of files."""

    object: Literal["list"] = "list"
    data: list[FileObject]
    first_id: str | None
    last_id: str | None
    has_more: bool


class Deleted(BaseModel):
    """A file that was."""

    id: str
    object: Literal["file"] = "file"
    deleted: Literal[True] = True


_FORM = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "purpose": {"type": "string", "default": "documents"},
        "file": {"type": "string", "contentMediaType": "application/octet-stream"},
    },
}


@router.post(
    "",
    openapi_extra={
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}}
    },
)
async def create_file(request: Request, client: Submitting) -> FileObject:
    """Upload a file: a form with `file` and, for a batch of OpenAI's, `purpose=batch`.

    413 where it is too large, 507 where there is no room for it. It is there as a whole or not at
    all.
    """
    new = _New(client, request.headers.get("content-type", ""))
    try:
        async for piece in request.stream():
            await run_in_threadpool(new.form.feed, piece)
        return await run_in_threadpool(new.keep)
    except ClientDisconnect:
        raise UsageError("the connection broke off; send it again") from None
    except uploads.NoRoom as error:
        raise HTTPException(507, str(error)) from error
    finally:
        # Shielded: whoever stops the server leaves nothing half written.
        with CancelScope(shield=True):
            await run_in_threadpool(new.give_up)


class _New:
    """A file on its way in."""

    def __init__(self, client: Client, content_type: str) -> None:
        self._client = client
        self._id = files.new_id()
        self._place = ""
        self._stored = ExitStack()
        most = client.settings.max_upload_bytes
        self.form = FormReading(content_type, self._open, most)

    def keep(self) -> FileObject:
        """Written down in SQL once all of it is stored. Where that is not possible its bytes go."""
        form = self.form.end()
        self._stored.close()
        purpose = uploads.clean(form.fields.get("purpose", "documents"))
        name = uploads.clean(form.filename or "")
        now = datetime.now(UTC)
        owner = self._client.caller.token
        file = FileRecord(self._id, owner, purpose, name, form.bytes, self._place, now)
        try:
            with self._client.database.transaction() as tx:
                files.add(tx, file)
        except BaseException:
            with suppress(OSError):
                uploads.forget(file)
            raise
        return described(file)

    def give_up(self) -> None:
        """What is stored of it goes, unless it was kept."""
        with suppress(_GivenUp), self._stored:
            raise _GivenUp

    def _open(self, filename: str) -> BinaryIO:
        self._place = uploads.location(self._client.settings.uploads_root, self._id, filename)
        return self._stored.enter_context(uploads.storing(self._place))


class _GivenUp(Exception):
    """Ends a file on its way in."""


@router.get("")
def list_files(
    client: Reading,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
    after: str | None = None,
    purpose: str | None = None,
    order: files.Order = "desc",
) -> FileList:
    """Files, the newest first."""
    found = batch_files.page(client, limit + 1, purpose=purpose, after=after, order=order)
    data = [described(file) for file in found[:limit]]
    first, last = (data[0].id, data[-1].id) if data else (None, None)
    return FileList(data=data, first_id=first, last_id=last, has_more=len(found) > limit)


@router.get("/{file_id}")
def get_file(client: Reading, file_id: str) -> FileObject:
    """A file, without what is in it."""
    if batch_files.is_one(file_id):
        return described(batch_files.get(client, file_id).record())
    return described(_record(client, file_id))


@router.get(
    "/{file_id}/content",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {
                kind: {"schema": {"type": "string"}}
                for kind in ("application/octet-stream", _LINES)
            }
        }
    },
)
def get_content(client: Reading, file_id: str) -> StreamingResponse:
    """What is in it."""
    if batch_files.is_one(file_id):
        pieces = _together(batch_files.get(client, file_id).lines())
        return StreamingResponse(_all(next(pieces), pieces), media_type=_LINES)
    file = _record(client, file_id)
    pieces = _pieces(file)
    first = next(pieces)  # before anything is answered: where it is gone, that is the answer
    size = {"Content-Length": str(file.bytes)}
    return StreamingResponse(
        _all(first, pieces), media_type="application/octet-stream", headers=size
    )


@router.delete("/{file_id}")
def delete_file(client: Submitting, file_id: str) -> Deleted:
    """Delete a file that no unfinished job reads."""
    if batch_files.is_one(file_id):
        batch_files.get(client, file_id).delete()
        return Deleted(id=file_id)
    file = _record(client, file_id)
    batch_files.refuse_if_read(client, file.id)
    try:
        client.delete_file(file)
    except uploads.InUse as error:
        raise HTTPException(409, str(error)) from error
    return Deleted(id=file.id)


def described(file: FileRecord) -> FileObject:
    return FileObject(
        id=file.id,
        bytes=file.bytes,
        created_at=int(file.created_at.timestamp()),
        filename=file.filename,
        purpose=file.purpose,
    )


def _record(client: Client, file_id: str) -> FileRecord:
    return client.file(file_id)


def _pieces(file: FileRecord) -> Iterator[bytes]:
    with uploads.reading(file) as opened:
        yield b""
        while piece := opened.read(_PIECE):
            yield piece


def _together(lines: Iterator[bytes]) -> Iterator[bytes]:
    """In pieces of some size: each that is sent is a hop between threads, and a line is short."""
    while several := list(islice(lines, _LINES_AT_ONCE)):
        yield b"".join(several)


def _all(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest

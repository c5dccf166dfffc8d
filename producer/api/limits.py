"""How large a request may be that is held in memory: any but uploads, which stream.

A body is read and parsed before a route asks who sent it. So of one that is not small that is
asked here, and of strangers none is read.
"""

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jobs.errors import GistmillError
from producer.api import guard, problems

LARGEST_BODY = 50_000_000
"""Bytes, below `/v1`."""

_SMALL = 64 * 1024
"""Bytes that a stranger may send, and of which there is nothing larger outside `/v1`."""

# The page's own socket has bounds of its own, and nobody gets to it who was not asked.
_NOT_HELD = ("/v1/files", "/_nicegui")


class BoundedBodies:
    """Refuses larger ones with 413: by their Content-Length before anything is read, else as soon
    as more than that has come."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_NOT_HELD):
            await self._app(scope, receive, send)
            return
        said = _said(scope)
        is_api = scope["path"].startswith("/v1/")
        if is_api and (said is None or said > _SMALL):
            request = Request(scope)
            try:
                await run_in_threadpool(guard.needs("read"), request)
            except GistmillError as error:
                await problems.of(request, error)(scope, receive, send)
                return
        most = LARGEST_BODY if is_api else _SMALL
        await self._app(scope, _counted(receive, said or 0, most), send)


def _said(scope: Scope) -> int | None:
    """Bytes that are to come; None where nobody says."""
    headers = Headers(scope=scope)
    if "transfer-encoding" in headers:
        return None
    said = headers.get("content-length", "0")
    return int(said) if said.isdecimal() else None


def _counted(receive: Receive, said: int, most: int) -> Receive:
    seen = 0

    async def next_part() -> Message:
        nonlocal seen
        _check(said, most)
        message = await receive()
        seen += len(message.get("body", b""))
        _check(seen, most)
        return message

    return next_part


def _check(size: int, most: int) -> None:
    """Raises HTTPException, which FastAPI answers wherever the body is read."""
    if size > most:
        how = (
            "; upload the documents as a file (POST /v1/files) and name its id as `file`"
            if most == LARGEST_BODY
            else ""
        )
        raise HTTPException(413, f"the request is larger than {most:,} bytes{how}")

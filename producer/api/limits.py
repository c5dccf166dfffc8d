"""How large a request may be that is held in memory: any of `/v1` but uploads, which stream."""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 50_000_000
"""Bytes."""

_STREAMED = "/v1/files"


class BoundedBodies:
    """Refuses larger ones with 413: by their Content-Length before anything is read, else as soon
    as more than that has come."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        bounded = path.startswith("/v1/") and not path.startswith(_STREAMED)
        counted = _counted(scope, receive) if bounded and scope["type"] == "http" else receive
        await self._app(scope, counted, send)


def _counted(scope: Scope, receive: Receive) -> Receive:
    said = Headers(scope=scope).get("content-length", "")
    seen = 0

    async def next_part() -> Message:
        nonlocal seen
        _check(int(said) if said.isdecimal() else 0)
        message = await receive()
        seen += len(message.get("body", b""))
        _check(seen)
        return message

    return next_part


def _check(size: int) -> None:
    """Raises HTTPException, which FastAPI answers wherever the body is read."""
    if size > LARGEST_BODY:
        raise HTTPException(
            413,
            f"the request is larger than {LARGEST_BODY:,} bytes; upload the documents as a file "
            "(POST /v1/files) and name its id as `file`",
        )

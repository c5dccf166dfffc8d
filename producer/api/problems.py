"""Errors as problem details (RFC 9457), with a `hint` where the message has one.

Our messages say what is wrong and, behind a semicolon, how to mend it.
"""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from jobs.errors import (
    GistmillError,
    NotAllowed,
    NotFound,
    NotMigrated,
    Unreachable,
    UsageError,
    WaitTimeout,
)
from producer.api.guard import Unauthenticated
from producer.api.openai_errors import also

_TYPE = "application/problem+json"

# The first that fits: narrower ones stand before wider ones.
_STATUSES: tuple[tuple[type[GistmillError], int, str], ...] = (
    (Unauthenticated, 401, "Unauthorized"),
    (NotMigrated, 503, "Service Unavailable"),
    (UsageError, 400, "Bad Request"),
    (NotAllowed, 403, "Forbidden"),
    (NotFound, 404, "Not Found"),
    (Unreachable, 503, "Service Unavailable"),
    (WaitTimeout, 504, "Gateway Timeout"),
)


def install(app: FastAPI) -> None:
    app.add_exception_handler(GistmillError, also(_ours))
    app.add_exception_handler(RequestValidationError, also(_invalid))
    app.add_exception_handler(HTTPException, also(_plain))


def answer(
    status: int, title: str, message: str, headers: dict[str, str] | None = None, **more: Any
) -> JSONResponse:
    """The problem as a response. What `message` says behind a semicolon is the hint."""
    detail, _, hint = message.partition("; ")
    body: dict[str, Any] = {"type": "about:blank", "title": title, "status": status}
    body["detail"] = detail
    if hint:
        body["hint"] = hint
    return JSONResponse(body | more, status, headers, media_type=_TYPE)


def _ours(_: Request, error: Exception) -> JSONResponse:
    for kind, status, title in _STATUSES:
        if isinstance(error, kind):
            return answer(status, title, str(error), _headers(status))
    raise error


def _headers(status: int) -> dict[str, str]:
    if status == 401:
        return {"WWW-Authenticate": "Bearer"}
    return {"Retry-After": "5"} if status == 503 else {}


def _invalid(_: Request, error: Exception) -> JSONResponse:
    """What does not fit the schema: each place in `errors`, the first in the detail."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - for mypy: what it is installed for
    found = [
        {"where": "/".join(str(part) for part in each["loc"]), "says": each["msg"]}
        for each in error.errors()
    ]
    first = found[0]
    message = f"{first['where']}: {first['says']}; /openapi.json says what is expected"
    return answer(422, "Unprocessable Content", message, errors=found)


def _plain(_: Request, error: Exception) -> JSONResponse:
    """Of Starlette: no such path, method not allowed."""
    assert isinstance(error, HTTPException)  # noqa: S101 - for mypy: what it is installed for
    title = HTTPStatus(error.status_code).phrase
    headers = dict(error.headers) if error.headers else None
    return answer(error.status_code, title, str(error.detail), headers)

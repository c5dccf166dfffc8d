"""Errors as problem details (RFC 9457), with a `hint` where the message has one.

Our messages say what is wrong and, behind a semicolon, how to mend it.
"""

from http import HTTPStatus
from typing import Any, Literal

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from jobs.documents import storable
from jobs.errors import (
    GistmillError,
    KeyTaken,
    NotAllowed,
    NotFound,
    NotMigrated,
    Unreachable,
    UsageError,
    WaitTimeout,
    WrongState,
)
from producer.api.guard import Unauthenticated
from producer.api.openai_errors import also

TYPE = "application/problem+json"

_MOST_PLACES = 20
"""Of what does not fit the schema: a list of a million numbers has that many."""


# The first that fits: narrower ones stand before wider ones.
_STATUSES: tuple[tuple[type[GistmillError], int], ...] = (
    (Unauthenticated, 401),
    (NotMigrated, 503),
    (KeyTaken, 409),
    (WrongState, 409),
    (UsageError, 400),
    (NotAllowed, 403),
    (NotFound, 404),
    (Unreachable, 503),
    (WaitTimeout, 504),
)


class Misfit(BaseModel):
    where: str
    says: str


class ForOpenAI(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None


class Problem(BaseModel):
    """RFC 9457: what is wrong, and how to mend it."""

    type: Literal["about:blank"]
    title: str
    status: int
    detail: str
    hint: str | None = None
    errors: list[Misfit] | None = None
    """Of a request that does not fit the schema: where, at most 20 of them."""
    error: ForOpenAI | None = None
    """Below the paths of OpenAI's: the same as their clients read it."""


def install(app: FastAPI) -> None:
    app.add_exception_handler(GistmillError, also(_ours))
    app.add_exception_handler(RequestValidationError, also(_invalid))
    app.add_exception_handler(HTTPException, also(_plain))
    app.add_exception_handler(Exception, _defect)


def of(request: Request, error: GistmillError) -> Response:
    """What a route would have answered."""
    return also(_ours)(request, error)


def answer(
    status: int, title: str, message: str, headers: dict[str, str] | None = None, **more: Any
) -> JSONResponse:
    """The problem as a response. What `message` says behind a semicolon is the hint."""
    # It may quote what was asked, which may be no UTF-8.
    detail, _, hint = storable(message).partition("; ")
    body: dict[str, Any] = {"type": "about:blank", "title": title, "status": status}
    body["detail"] = detail
    if hint:
        body["hint"] = hint
    return JSONResponse(body | more, status, headers, media_type=TYPE)


def _ours(_: Request, error: Exception) -> JSONResponse:
    for kind, status in _STATUSES:
        if isinstance(error, kind):
            return answer(status, HTTPStatus(status).phrase, str(error), _headers(status))
    raise error


def _headers(status: int) -> dict[str, str]:
    if status == 401:
        return {"WWW-Authenticate": "Bearer"}
    return {"Retry-After": "5"} if status == 503 else {}


def _invalid(_: Request, error: Exception) -> JSONResponse:
    """What does not fit the schema: each place in `errors`, the first in the detail."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - for mypy: what it is installed for
    found = [
        {
            "where": storable("/".join(str(part) for part in each["loc"])),
            "says": storable(each["msg"]),
        }
        for each in error.errors()[:_MOST_PLACES]
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


def _defect(_: Request, error: Exception) -> JSONResponse:
    """A traceback of it goes to the server's log."""
    del error
    message = "this is a defect of gistmill; the server's log says more, please report it"
    return answer(500, "Internal Server Error", message)

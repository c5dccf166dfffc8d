"""Errors as OpenAI's clients read them, beside the problem details, where they ask.

Their clients try again after 408, 409, 429 and all from 500 on: what its user has to mend is 400.
"""

import json
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse

Handler = Callable[[Request, Exception], JSONResponse]

_TYPE = "invalid_request_error"
_PATHS = ("/v1/files", "/v1/batches", "/v1/models", "/v1/chat")
_MENDED_BY_USERS = (HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY)
_CODES = {
    HTTPStatus.UNAUTHORIZED: "invalid_api_key",
    HTTPStatus.FORBIDDEN: "insufficient_permissions",
    HTTPStatus.NOT_FOUND: "not_found",
}
_PARAMS = frozenset(
    {
        *("input_file_id", "endpoint", "completion_window", "metadata"),
        *("purpose", "file", "limit", "after", "order"),
    }
)


def also(handler: Handler) -> Handler:
    """The handler, with an `error` in what it answers below these paths."""

    def answer(request: Request, error: Exception) -> JSONResponse:
        response = handler(request, error)
        if not request.url.path.startswith(_PATHS):
            return response
        status = HTTPStatus(response.status_code)
        status = HTTPStatus.BAD_REQUEST if status in _MENDED_BY_USERS else status
        problem = json.loads(bytes(response.body))
        problem |= {"title": status.phrase, "status": int(status), "error": _error(problem, status)}
        kept = ("www-authenticate", "retry-after", "allow")
        headers = {name: value for name, value in response.headers.items() if name in kept}
        return JSONResponse(problem, status, headers, media_type=response.media_type)

    return answer


def _error(problem: dict[str, Any], status: HTTPStatus) -> dict[str, Any]:
    message = "; ".join(problem[name] for name in ("detail", "hint") if problem.get(name))
    # A schema's words begin "body/metadata/key: ", our own "endpoint: " or "endpoint '...': ".
    first = re.split("[/: ]", re.sub("^(body|query)/", "", message), maxsplit=1)[0]
    return {
        "message": message,
        "type": "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else _TYPE,
        "param": first if first in _PARAMS else None,
        "code": _CODES.get(status),
    }

"""Requests to a mill's HTTP API, and its errors as ours.

The token goes to the machine that the URL names and to no other: redirects are not followed, and
without TLS it is not sent over a network. It stands in no message.
"""

import json
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, BinaryIO, Protocol
from urllib.parse import urlsplit

import httpx

from jobs import exposure
from jobs.allowed_sources import without_secrets
from jobs.errors import (
    GistmillError,
    MillUnreachable,
    NotAllowed,
    NotFound,
    Unreachable,
    UsageError,
    WrongState,
)

_SECONDS = httpx.Timeout(60, connect=10)
_PATIENT = httpx.Timeout(60, connect=10, read=None)
"""For what a mill may work on for minutes before it answers."""

_KINDS: dict[int, type[GistmillError]] = {
    **dict.fromkeys((400, 413, 422), UsageError),
    **dict.fromkeys((401, 403), NotAllowed),
    409: WrongState,
    **dict.fromkeys((404, 405, 410, 507), NotFound),
    **dict.fromkeys((429, 502, 503, 504), MillUnreachable),
}


class Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes:
        """At most so many bytes, and none at the end."""


class Connection:
    """To one mill. To be closed."""

    def __init__(self, url: str, token: str | None, *, allow_insecure: bool = False) -> None:
        """Raises UsageError for a URL that is none, or that would give the token away."""
        for wrong in exposure.of_mill(url, token, allow_insecure=allow_insecure):
            raise UsageError(str(wrong))
        self.url = url.rstrip("/")
        headers = {"User-Agent": f"gistmill/{version('gistmill')}"}
        if token:
            if not re.fullmatch(r"[!-~]+", token):
                raise UsageError("token: holds what no token does, such as a blank; see to it")
            headers["Authorization"] = f"Bearer {token}"
        # This machine is never behind a proxy.
        elsewhere = not exposure.is_local(urlsplit(url).hostname)
        with self._asking():
            self._http = httpx.Client(headers=headers, timeout=_SECONDS, trust_env=elsewhere)

    def __repr__(self) -> str:
        return f"<connection to {self.url}>"

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, *, patient: bool = False, **params: Any) -> Any:
        """The answer's JSON. What is None among `params` is left out."""
        timeout = _PATIENT if patient else _SECONDS
        with self._asking():
            response = self._http.get(f"{self.url}{path}", params=_given(params), timeout=timeout)
        return self._value(response)

    def post(
        self, path: str, value: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """The answer's status and JSON."""
        # Escaped: what a text may hold is not always UTF-8.
        content = None if value is None else json.dumps(value).encode()
        headers = {"Content-Type": "application/json", **(headers or {})}
        with self._asking():
            response = self._http.post(
                f"{self.url}{path}", content=content, headers=headers, timeout=_PATIENT
            )
        return response.status_code, self._value(response)

    def upload(self, name: str, content: Readable | BinaryIO) -> str:
        """The id of a file. It is sent as it is read."""
        with self._asking():
            response = self._http.post(
                f"{self.url}/v1/files",
                data={"purpose": "documents"},
                files={"file": (name, content, "application/octet-stream")},  # type: ignore[dict-item]  # it is read, and no more
                timeout=_PATIENT,
            )
        return str(self._value(response)["id"])

    def delete(self, path: str) -> None:
        with self._asking():
            response = self._http.delete(f"{self.url}{path}")
        self._value(response)

    @contextmanager
    def stream(self, path: str, **params: Any) -> Iterator[Iterator[bytes]]:
        """The answer's bytes, as they come. Raises MillUnreachable where they end too early."""
        with (
            self._asking(),
            self._http.stream(
                "GET", f"{self.url}{path}", params=_given(params), timeout=_PATIENT
            ) as response,
        ):
            if response.status_code != httpx.codes.OK:
                response.read()
                self._check(response)
            yield response.iter_bytes()

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except ssl.SSLError as error:
            raise UsageError(f"SSL_CERT_FILE: {error.strerror or error}") from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise UsageError(f"{self.url}: {error}; write https://HOST") from error
        except httpx.TimeoutException as error:
            raise MillUnreachable(f"{self.url}: does not answer in time") from error
        except httpx.ConnectError as error:
            raise MillUnreachable(f"{self.url}: {_why(error)}") from error
        except httpx.TransportError as error:
            raise MillUnreachable(f"{self.url}: the connection broke off ({error})") from error

    def _value(self, response: httpx.Response) -> Any:
        self._check(response)
        try:
            return response.json()
        except ValueError as error:
            raise self._is_none(response) from error

    def _check(self, response: httpx.Response) -> None:
        """Raises what the mill says."""
        status = response.status_code
        if response.is_success:
            return
        if response.has_redirect_location:
            to = without_secrets(response.headers["Location"])
            raise NotFound(f"{self.url}: leads to {to}; name that one in GISTMILL_URL")
        said = _said(response)
        if said is None and status < 500:
            raise self._is_none(response)
        if kind := _KINDS.get(status):
            raise kind(said or f"{self.url}: answers {status} {response.reason_phrase}")
        raise Unreachable(f"{self.url}: failed with {status}; its log says why")

    def _is_none(self, response: httpx.Response) -> NotFound:
        return NotFound(
            f"{self.url}: answers {response.status_code}, and not as gistmill does; check "
            "GISTMILL_URL, and that both have the same version"
        )


def _given(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}


def _said(response: httpx.Response) -> str | None:
    """The message of problem details; None where there are none."""
    try:
        body = response.json()
    except ValueError:
        return None
    if not isinstance(body, dict) or not isinstance(body.get("detail"), str):
        return None
    hint = body.get("hint")
    words = f"{body['detail']}; {hint}" if isinstance(hint, str) else body["detail"]
    return " ".join(words.split())


def _why(error: httpx.ConnectError) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "its certificate is not trusted; where a CA of your own signed it, set SSL_CERT_FILE"
    return f"does not answer ({error}); is `gistmill serve` running there?"

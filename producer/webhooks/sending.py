"""One POST to a stranger's server: to the address that was checked, within one deadline.

Nothing of the answer is read but its head. Redirects are not followed, no proxy is used, and the
host's name is resolved once: what is connected to is what was checked.
"""

import ssl
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from time import monotonic
from typing import Any

import httpcore
import httpx

from producer.webhooks import addresses

_ALWAYS = {"content-type": "application/json", "user-agent": "gistmill"}


class NoAnswer(Exception):
    """Nothing came back that says whether it was received. The message says why."""


def post(
    url: str, body: str, headers: Mapping[str, str], networks: Sequence[str], seconds: float
) -> int:
    """The status of the answer. Raises NoAnswer, and NotAllowed for a private address that is
    not of these networks."""
    where = addresses.parsed(url)
    backend = _Checked(networks, monotonic() + seconds)
    try:
        with (
            httpcore.ConnectionPool(ssl_context=_tls(), network_backend=backend) as pool,
            pool.stream(
                "POST",
                httpcore.URL(
                    scheme=where.raw_scheme,
                    host=where.raw_host,
                    port=where.port,
                    target=where.raw_path,
                ),
                headers=[*_ALWAYS.items(), *headers.items()],
                content=body.encode(),
            ) as response,
        ):
            return response.status
    except httpcore.TimeoutException:
        raise NoAnswer(f"no answer within {seconds:g} s") from None
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise NoAnswer(f"no answer: {error}") from None


@cache
def _tls() -> ssl.SSLContext:
    """Reading the authorities takes some milliseconds."""
    return httpx.create_ssl_context()


class _Checked(httpcore.NetworkBackend):
    """Resolves a host itself, refuses private addresses, and connects to what it checked."""

    def __init__(self, networks: Sequence[str], ends: float) -> None:
        self._networks = networks
        self._ends = ends
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        del timeout
        try:
            found = addresses.checked(host, port, self._networks)
        except OSError as error:
            raise httpcore.ConnectError(error.strerror) from error
        refused: httpcore.NetworkError | None = None
        for each in found:
            try:
                left = _left(self._ends)
                stream = self._inner.connect_tcp(each, port, left, local_address, socket_options)
            except httpcore.ConnectError as error:
                refused = error
            else:
                return _Timed(stream, self._ends)
        raise refused or httpcore.ConnectError("it has no address")


class _Timed(httpcore.NetworkStream):
    """A stream that ends at a time, however slowly it goes on until then."""

    def __init__(self, inner: httpcore.NetworkStream, ends: float) -> None:
        self._inner = inner
        self._ends = ends

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        del timeout
        return self._inner.read(max_bytes, _left(self._ends))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        del timeout
        self._inner.write(buffer, _left(self._ends))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        del timeout
        inner = self._inner.start_tls(ssl_context, server_hostname, _left(self._ends))
        return _Timed(inner, self._ends)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _left(ends: float) -> float:
    left = ends - monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout
    return left

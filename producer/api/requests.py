"""Counts requests over HTTP, by the template of their path: never by the path itself, of which
there are as many as jobs."""

from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SECONDS = (0.005, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)
_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_OTHER = "other"
"""A path that no route has, and what the page brings of its own."""


class Counted:
    """A middleware. A request is over with the last byte of its answer."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self._app = app
        self._requests = Counter(
            "gistmill_http_requests",
            "Requests over HTTP.",
            ["method", "route", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "gistmill_http_request_seconds",
            "Seconds until the last byte of an answer.",
            ["method", "route"],
            buckets=_SECONDS,
            registry=registry,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Of an answer that never began, since a defect or the client ended it.
        status = 500
        began = perf_counter()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else _OTHER
            route = getattr(scope.get("route"), "path", _OTHER)
            self._requests.labels(method, route, str(status)).inc()
            self._seconds.labels(method, route).observe(perf_counter() - began)

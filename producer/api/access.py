"""A line in the log for each request: what was asked, by which token's id, and how it ended."""

from time import monotonic
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jobs import logs

log = logs.get("serve")

# Asked all the time: by load balancers, by Prometheus, and by each page for its parts.
_QUIET = ("/healthz", "/metrics", "/_nicegui")


class AccessLog:
    """Never what could be secret: no header, no query."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_QUIET):
            await self._app(scope, receive, send)
            return
        status = 0
        begun = monotonic()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            token = scope.get("state", {}).get("token")
            log.info(
                "request",
                method=scope["method"],
                # As it was sent: decoded, it could look like another line.
                path=quote(scope["path"]),
                # Without an answer: the client went away.
                status=status or None,
                ms=round(1000 * (monotonic() - begun)),
                **({"token": token} if token else {}),
            )

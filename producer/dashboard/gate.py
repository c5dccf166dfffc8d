"""Stands before the page: who may not see it gets the login, a refusal, or nothing at all.

It takes what no route of the API took. NiceGUI itself asks nobody who he is, neither for a page
nor for the socket behind it.
"""

from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from jobs.errors import NotAllowed, Unreachable
from producer.api.guard import Unauthenticated
from producer.dashboard import plain
from producer.dashboard.visitors import Door

_PAGES = ("/", "/submit", "/favicon.ico")
_FOLDERS = ("/jobs/", "/_nicegui/", "/_nicegui_ws/")

# NiceGUI makes its pages of scripts in the page and of templates that it compiles there; what
# matters is that nothing comes from, or goes to, anywhere else.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}

# Scripts and styles, whose paths hold NiceGUI's version.
_KEPT = {"Cache-Control": "public, max-age=31536000, immutable"}


class Gate:
    """ASGI: hands on to `page` what a visitor asks of it, and to `otherwise` what is none of it."""

    def __init__(self, door: Door, page: ASGIApp, otherwise: ASGIApp) -> None:
        self._door = door
        self._page = page
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _is_of_the_page(scope["path"]):
            await self._otherwise(scope, receive, send)
            return
        refusal = await run_in_threadpool(self._refusal, HTTPConnection(scope))
        app = refusal or self._page
        kept = _KEPT if scope["path"].startswith("/_nicegui/") else {}
        await app(scope, receive, _with_headers(send, kept))

    def _refusal(self, connection: HTTPConnection) -> ASGIApp | None:
        is_socket = connection.scope["type"] == "websocket"
        try:
            self._door.caller(connection)
        except Unauthenticated:
            wanted = quote(connection.url.path)
            return WebSocketClose() if is_socket else RedirectResponse(f"/login?next={wanted}", 303)
        except NotAllowed as error:
            return WebSocketClose() if is_socket else plain.page(403, "Not here", str(error))
        except Unreachable as error:
            return WebSocketClose() if is_socket else plain.page(503, "Not now", str(error))
        return None


def _is_of_the_page(path: str) -> bool:
    return path in _PAGES or path.startswith(_FOLDERS)


def _with_headers(send: Send, kept: dict[str, str]) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in (HEADERS | kept).items():
                headers.setdefault(name, value)
        await send(message)

    return sending

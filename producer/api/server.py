"""uvicorn, as `serve` runs it: told to stop, it ends what streams and is done with exit code 0."""

import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI

_PATIENCE = 5
"""Seconds that requests have to end once the server is to stop."""

_KEEP_ALIVE = 30
_LONGEST_HEAD = 64 * 1024


class Server(uvicorn.Server):
    """Runs until SIGINT or SIGTERM; both are a wish, and no error."""

    def __init__(self, app: FastAPI, ready: Callable[[], None]) -> None:
        """`ready` is called once requests are answered and signals heard."""
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                # Who asks is who is connected, whatever headers say: the guard refuses proxies
                # where that matters.
                proxy_headers=False,
                http="h11",
                h11_max_incomplete_event_size=_LONGEST_HEAD,
                timeout_keep_alive=_KEEP_ALIVE,
                timeout_graceful_shutdown=_PATIENCE,
            )
        )
        self._stopping = app.state.stopping
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        # uvicorn raises them again at its end, which would be how this process ends.
        self._captured_signals.clear()
        self._stopping.asked = True

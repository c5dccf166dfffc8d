"""A way to a server that can be blocked, cut, or made to swallow an answer.

It listens on the loopback and forwards to a unix socket. Who is connected notices nothing
until it is told to misbehave.
"""

import socket
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

_READ = 64 * 1024


class Proxy:
    """A context in which `127.0.0.1:port` is the server at `target`."""

    def __init__(self, target: Path) -> None:
        self._target = str(target)
        self._flows = threading.Event()
        self._flows.set()
        self._silenced: list[threading.Event] = []
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._swallow: bytes | None = None
        self.swallowed = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.close()
        self.cut()
        for flows in (*self._silenced, self._flows):
            flows.set()

    def block(self) -> None:
        """Stop forwarding: connections stay open, new ones are taken, and nothing comes back."""
        self._flows.clear()

    def unblock(self) -> None:
        self._flows.set()

    def forget(self) -> None:
        """Forward for who connects from now on; connections that are open stay silent for ever."""
        self._silenced.append(self._flows)
        self._flows = threading.Event()
        self._flows.set()

    def cut(self) -> None:
        """End every connection."""
        with self._lock:
            cut, self._open = self._open, set()
        for each in cut:
            _close(each)

    def swallow_answer_to(self, words: bytes) -> None:
        """Once: pass the next message on that holds `words`, and end the connection instead of
        giving back what the server answers. `swallowed` is set then."""
        self.swallowed.clear()
        self._swallow = words

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        with self._lock:
            self._open |= {client, server}
        flows = self._flows
        flows.wait()
        try:
            server.connect(self._target)
        except OSError:  # it is down
            _close(client)
            return
        swallows = threading.Event()
        back = partial(self._answer, server, client, flows, swallows)
        threading.Thread(target=back, daemon=True).start()
        self._ask(client, server, flows, swallows)

    def _ask(
        self,
        client: socket.socket,
        server: socket.socket,
        flows: threading.Event,
        swallows: threading.Event,
    ) -> None:
        with suppress(OSError):  # one of the two was closed
            while read := client.recv(_READ):
                flows.wait()
                if self._swallow and self._swallow in read:
                    self._swallow = None
                    swallows.set()
                server.sendall(read)
        _close(server)

    def _answer(
        self,
        server: socket.socket,
        client: socket.socket,
        flows: threading.Event,
        swallows: threading.Event,
    ) -> None:
        with suppress(OSError):  # one of the two was closed
            while read := server.recv(_READ):
                flows.wait()
                if swallows.is_set():
                    self.swallowed.set()
                    break
                client.sendall(read)
        _close(client)


def _close(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()

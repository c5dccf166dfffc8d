"""A way to a server that can be blocked, cut, or made to swallow an answer.

It listens on the loopback and forwards to a unix socket. Who is connected notices nothing
until it is told to misbehave.
"""

import re
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self

_READ = 64 * 1024
# How psycopg tells PostgreSQL of a statement that it will only name from now on.
_PREPARED = re.compile(rb"(_pg3_\d+)\0([^\0]+)\0")


@dataclass(frozen=True)
class _Trap:
    """Words whose answer is to be swallowed, on a connection that has said `after` since."""

    words: bytes
    after: bytes


@dataclass
class _Connection:
    flows: threading.Event
    swallows: threading.Event = field(default_factory=threading.Event)
    primed: _Trap | None = None
    _prepared: dict[bytes, bytes] = field(default_factory=dict)

    def springs(self, trap: _Trap, said: bytes) -> bool:
        if trap.after in said:
            self.primed = trap
        return self.primed is trap and trap.words in said

    def in_full(self, read: bytes) -> bytes:
        """With each statement that it names."""
        for name, statement in _PREPARED.findall(read):
            self._prepared.setdefault(name, statement)
        named = [text for name, text in self._prepared.items() if b"\0%s\0" % name in read]
        return b"\0".join([read, *named])


class Proxy:
    """A context in which `127.0.0.1:port` is the server at `target`."""

    def __init__(self, target: Path) -> None:
        self._target = str(target)
        self._flows = threading.Event()
        self._flows.set()
        self._silenced: list[threading.Event] = []
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._trap: _Trap | None = None
        self.swallowed = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
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

    def swallow_answer_to(self, words: bytes, after: bytes = b"") -> None:
        """Once: pass the next message on that holds `words`, and end the connection instead of
        giving back what the server answers. `swallowed` is set then. With `after`, only on a
        connection on which that has been said since."""
        self.swallowed.clear()
        self._trap = _Trap(words, after)

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        with self._lock:
            self._open |= {client, server}
        connection = _Connection(self._flows)
        connection.flows.wait()
        try:
            server.connect(self._target)
        except OSError:  # it is down
            _close(client)
            return
        back = partial(self._answer, server, client, connection)
        threading.Thread(target=back, daemon=True).start()
        self._ask(client, server, connection)

    def _ask(self, client: socket.socket, server: socket.socket, connection: _Connection) -> None:
        with suppress(OSError):  # one of the two was closed
            while read := client.recv(_READ):
                connection.flows.wait()
                said, trap = connection.in_full(read), self._trap
                if trap and connection.springs(trap, said):
                    self._trap = None
                    connection.swallows.set()
                server.sendall(read)
        _close(server)

    def _answer(
        self, server: socket.socket, client: socket.socket, connection: _Connection
    ) -> None:
        with suppress(OSError):  # one of the two was closed
            while read := server.recv(_READ):
                connection.flows.wait()
                if connection.swallows.is_set():
                    self.swallowed.set()
                    break
                client.sendall(read)
        _close(client)


def _close(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()

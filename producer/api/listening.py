"""The socket that `serve` listens on."""

import ipaddress
import socket


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens, of a free port where `port` is 0. `host` is an address or a name.

    Raises OSError.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        # Who comes before the application is up waits for it.
        listening.listen()
    except OSError:
        listening.close()
        raise
    return listening


def is_here(listening: socket.socket) -> bool:
    """Whether only this machine can reach what listens there."""
    return ipaddress.ip_address(listening.getsockname()[0]).is_loopback


def url(host: str, listening: socket.socket) -> str:
    """For people: `host` as they wrote it."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listening.getsockname()[1]}"


def refusal(error: OSError, host: str, port: int) -> str:
    """Why not, in a line."""
    mend = "--host" if isinstance(error, socket.gaierror) else "--port"
    return f"can not listen on {host}:{port}: {error.strerror}; choose another {mend}"

"""The socket that `serve` listens on."""

import ipaddress
import socket


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens, of a free port where `port` is 0. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        # Who comes before the application is up waits for it.
        listening.listen()
    except OSError:
        listening.close()
        raise
    return listening


def is_here(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

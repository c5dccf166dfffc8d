"""Where a webhook may go: URLs, and the addresses that their hosts have.

A user's URL must not make this machine talk to what only machines beside it can reach. So an
address that is not of the public internet is refused unless a setting allows its network. What
counts is the address that is connected to (`sending.py`); what is checked when a job is
submitted is a first answer.
"""

import ipaddress
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from jobs.documents import storable
from jobs.errors import NotAllowed, UsageError

if TYPE_CHECKING:
    import httpx

_LONGEST = 2000
_PORTS = {"http": 80, "https": 443}
# IPv4 addresses inside of IPv6 ones, at their end: RFC 6052.
_NAT64 = IPv6Network("64:ff9b::/96")

Address = IPv4Address | IPv6Address


def parsed(url: str) -> "httpx.URL":
    """Raises UsageError for what is no URL to post to."""
    import httpx  # few submissions need it, and it takes its time

    if not isinstance(url, str) or storable(url) != url or len(url) > _LONGEST:
        raise UsageError(f"webhook: write a URL of {_LONGEST:,} characters at most")
    try:
        found = httpx.URL(url)
        _ = urlsplit(url).port  # httpx takes any number
    except (httpx.InvalidURL, ValueError):
        raise UsageError("webhook: not a URL; write https://HOST/PATH") from None
    if found.scheme not in _PORTS or not found.raw_host:
        raise UsageError("webhook: write https://HOST/PATH")
    if found.userinfo or "@" in found.netloc.decode("ascii", "replace"):
        raise UsageError("webhook: leave user and password out; what is sent is signed instead")
    if found.fragment:
        raise UsageError("webhook: leave out what follows #; it is never sent")
    return found


def check(url: str, networks: Sequence[str]) -> None:
    """A first answer. Raises UsageError for what is no URL or has no address, and NotAllowed for
    one that is private and not of these networks."""
    found = parsed(url)
    host = found.raw_host.decode("ascii")
    try:
        checked(host, found.port or _PORTS[found.scheme], networks)
    except OSError as error:
        raise UsageError(f"webhook: {host} has no address ({error.strerror})") from None


def checked(host: str, port: int, networks: Sequence[str]) -> list[str]:
    """The addresses of a host. Raises OSError where it has none, and NotAllowed where one of them
    is private."""
    try:
        given = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(0, f"not a name: {error}") from None
    addresses = dict.fromkeys(str(found[0]) for *_, found in given)
    for each in addresses:
        if not is_allowed(each, networks):
            raise NotAllowed(
                f"webhook: {host} has the address {each}, which is not public; an operator "
                "may allow its network by the setting webhook_networks"
            )
    return list(addresses)


def is_allowed(address: str, networks: Sequence[str]) -> bool:
    """Whether it is public, or in one of these networks."""
    found = _meant(ipaddress.ip_address(address))
    if any(_is_in(found, network) for network in networks):
        return True
    return found.is_global and not (
        found.is_multicast or found.is_reserved or found.is_unspecified or _is_local(found)
    )


def _meant(address: Address) -> Address:
    """Of an IPv4 address inside of another, that one."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _is_in(address: Address, network: str) -> bool:
    found = ipaddress.ip_network(network)
    return address.version == found.version and address in found


def _is_local(address: Address) -> bool:
    return address.is_loopback or address.is_link_local or getattr(address, "is_site_local", False)

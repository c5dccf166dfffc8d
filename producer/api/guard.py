"""Who asks over HTTP, and whether that may.

Once there was a token each request needs one: `Authorization: Bearer gm_...`; that all of them
are revoked opens nothing. Before that whoever is on this machine may do all, and nobody else
anything: not from another address, not through a proxy, and not by a page of another site that a
browser here has open.
"""

import ipaddress
from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection

from jobs.callers import OWN, Caller, Scope
from jobs.errors import NotAllowed
from jobs.store import tokens
from producer.api.sessions import Sessions
from producer.client import Client

_HERE = frozenset({"localhost", "127.0.0.1", "::1"})
_FORWARDED = ("forwarded", "x-forwarded", "x-real-ip", "x-client-ip", "via", "cf-", "true-client")
"""How headers begin that proxies add."""


class Unauthenticated(NotAllowed):
    """No token, or none that is known."""


def everything(request: Request) -> Client:
    """The client that sees all, for what anybody may know."""
    client: Client = request.app.state.client
    return client


def caller(
    client: Client, headers: Headers, peer: str | None, session: str | None = None
) -> Caller:
    """`peer` is the address that the request came from, `session` the id of the token that a
    browser logged in with: it counts where no token is sent.

    Raises Unauthenticated, and NotAllowed for strangers where there are no tokens.
    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    with client.database.transaction() as tx:
        if not tokens.any_made(tx):
            _from_here(headers, peer)
            return OWN
        found = tokens.caller(tx, token.strip()) if scheme.lower() == "bearer" else None
        if session is not None and not scheme:
            found = tokens.holder(tx, session)
    if found is None:
        raise Unauthenticated(
            "a token is needed, and this request has none that is known; send the header "
            "Authorization: Bearer TOKEN (make one with: gistmill token create NAME)"
        )
    return found


def needs(scope: Scope) -> Callable[[Request], Client]:
    """A dependency: the client as whoever asks may use it, who must have `scope`."""

    def of_request(request: Request) -> Client:
        client = everything(request)
        peer = request.client and request.client.host
        asks = caller(client, request.headers, peer, _session(request))
        request.state.token = asks.token  # for the log
        asks.require(scope)
        return client.of(asks)

    return of_request


Reading = Annotated[Client, Depends(needs("read"))]
Submitting = Annotated[Client, Depends(needs("submit"))]
Administering = Annotated[Client, Depends(needs("admin"))]


def session_of(sessions: Sessions, connection: HTTPConnection) -> str | None:
    """The token's id of the session that a browser's request belongs to.

    None for what may have been sent by another site's page: anything but a GET, where the browser
    does not say that our own page sent it.
    """
    reads = connection.scope.get("method") in {"GET", "HEAD"}
    if not reads and not is_ours(connection.headers):
        return None
    return sessions.token_id(connection.cookies)


def _session(request: Request) -> str | None:
    return session_of(request.app.state.sessions, request)


def is_ours(headers: Headers) -> bool:
    """Whether one of our own pages sent it, by what its browser says."""
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] == headers.get("host")


def _from_here(headers: Headers, peer: str | None) -> None:
    """Raises NotAllowed."""
    if not (peer and _is_loopback(peer)) or any(name.startswith(_FORWARDED) for name in headers):
        raise NotAllowed(
            "there are no tokens yet, so only this machine itself may ask; make one with: "
            "gistmill token create NAME"
        )
    # A browser says so also where it sends no origin. Who follows a link comes from elsewhere, too.
    fetched = headers.get("sec-fetch-mode", "navigate") != "navigate"
    if fetched and headers.get("sec-fetch-site") == "cross-site":
        raise NotAllowed("a page of another site may not ask here")
    if _name(headers.get("host", "")) not in _HERE:
        raise NotAllowed("the host that was asked for is not this one; use http://127.0.0.1")
    if "origin" in headers and not is_ours(headers):
        raise NotAllowed("a page of another site may not ask here")


def _is_loopback(peer: str) -> bool:
    try:
        address = ipaddress.ip_address(peer)
        # As a socket of IPv6 sees who comes by IPv4.
        return (getattr(address, "ipv4_mapped", None) or address).is_loopback
    except ValueError:
        return False


def _name(host: str) -> str:
    """Of a Host header, without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()

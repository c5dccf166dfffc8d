"""Who looks at a page, and how: the caller, and what the browser said of itself."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from starlette.requests import HTTPConnection

from jobs.callers import Caller
from jobs.errors import NotAllowed, Unreachable
from producer.api import guard
from producer.api.sessions import Sessions
from producer.client import Client


@dataclass(frozen=True, slots=True)
class Visitor:
    """One who may see the page."""

    client: Client
    """As this visitor may use it."""
    zone: ZoneInfo
    """Of the browser, which says so in a cookie; UTC until it has."""
    theme: str | None
    """`light` or `dark` where that was chosen; None to do as the system does."""

    @property
    def caller(self) -> Caller:
        return self.client.caller

    @property
    def may_submit(self) -> bool:
        return self.caller.may("submit")


class Door:
    """Tells visitors from strangers."""

    def __init__(self, client: Client, sessions: Sessions) -> None:
        self.client = client
        self.sessions = sessions

    def caller(self, connection: HTTPConnection) -> Caller:
        """Raises Unauthenticated, where a login helps, and NotAllowed, where none does."""
        session = guard.session_of(self.sessions, connection)
        peer = connection.client and connection.client.host
        return guard.caller(self.client, connection.headers, peer, session)

    def visitor(self, connection: HTTPConnection) -> Visitor:
        """As `caller`."""
        theme = connection.cookies.get("theme")
        return Visitor(
            client=self.client.of(self.caller(connection)),
            zone=_zone(connection.cookies.get("zone", "")),
            theme=theme if theme in {"light", "dark"} else None,
        )

    def still(self, visitor: Visitor, connection: HTTPConnection) -> bool:
        """Whether the visitor may still do what it might: its token may have been revoked. While
        the database does not answer nothing is known, and nothing is shown either."""
        try:
            return self.caller(connection) == visitor.caller
        except NotAllowed:
            return False
        except Unreachable:
            return True


def _zone(cookie: str) -> ZoneInfo:
    try:
        return ZoneInfo(cookie.replace("%2F", "/"))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")

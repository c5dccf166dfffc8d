"""Who a browser is, from one request to the next: a signed cookie that names its token.

The token itself is given once, at the login, and kept nowhere: the cookie holds the token's id
and when it was given, and each request asks SQL whether that token is still good. Revoking it
ends the session everywhere. The key that signs is the mill's, in SQL, so that several servers
of one mill take the same cookies.
"""

from collections.abc import Mapping

from itsdangerous import BadSignature, URLSafeTimedSerializer

from jobs.database import Database
from jobs.store import secrets

COOKIE = "gistmill_session"

DAYS = 14
_SECONDS = DAYS * 24 * 3600
_SECRET = "session"  # noqa: S105 - its name


class Sessions:
    """Makes and reads the cookies of a mill."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def cookie(self, token_id: str) -> str:
        return self._signed().dumps(token_id)

    def token_id(self, cookies: Mapping[str, str]) -> str | None:
        """None without a cookie, and for one that is too old or that this mill did not sign."""
        if COOKIE not in cookies:
            return None
        try:
            found = self._signed().loads(cookies[COOKIE], max_age=_SECONDS)
        except BadSignature:
            return None
        return found if isinstance(found, str) else None

    def _signed(self) -> URLSafeTimedSerializer:
        """Asked for at each use: a server may start before its database answers."""
        with self._database.transaction() as tx:
            return URLSafeTimedSerializer(secrets.secret(tx, _SECRET), salt="session")

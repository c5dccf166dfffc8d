"""Who a browser is, from one request to the next: a signed cookie that names its token.

The token itself is given once, at the login, and kept nowhere: the cookie holds the token's id
and when it was given, and each request asks SQL whether that token is still good. Revoking it
ends the session everywhere. The key that signs lies under the home, for its owner alone.
"""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from itsdangerous import BadSignature, URLSafeTimedSerializer

COOKIE = "gistmill_session"

DAYS = 14
_SECONDS = DAYS * 24 * 3600


class Sessions:
    """Makes and reads the cookies of this home."""

    def __init__(self, home: Path) -> None:
        self._signed = URLSafeTimedSerializer(_key(home / "page.key"), salt="session")

    def cookie(self, token_id: str) -> str:
        return self._signed.dumps(token_id)

    def token_id(self, cookies: Mapping[str, str]) -> str | None:
        """None without a cookie, and for one that is too old or that this home did not sign."""
        try:
            found = self._signed.loads(cookies.get(COOKIE, ""), max_age=_SECONDS)
        except BadSignature:
            return None
        return found if isinstance(found, str) else None


def _key(path: Path) -> str:
    """Made at the first use. Two processes may begin at once: one of them writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(32))
    try:
        os.link(fresh, path)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
    return path.read_text()

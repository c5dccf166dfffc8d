"""Whether kombu takes the URL of a Redis for what everybody else does.

Says nothing about whether its servers may be used, `jobs.exposure` does, and never a part of
it, as a password may stand in it.
"""

import re
from urllib.parse import parse_qs, urlsplit

from jobs.errors import UsageError

_SCHEMES = ("redis", "rediss", "redis+socket")
# kombu would take them for options of the connection that it has already.
_OPTIONS = frozenset({"hostname", "password", "port", "transport", "userid", "virtual_host"})


def check(url: str) -> None:
    """Of several servers, each. Raises UsageError for what is not the URL of a Redis."""
    if not all(map(_is_known, url.split(";"))):
        raise UsageError(
            "broker_url is not a URL of Redis; write redis://:password@host:6379/0 or rediss://, "
            "with / ? # @ in the password percent-encoded (`gistmill config` shows where it stands)"
        )


def _is_known(url: str) -> bool:
    try:
        parts = urlsplit(url)
        known = parts.scheme in _SCHEMES and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
    options = _OPTIONS
    if parts.scheme == "redis+socket":
        options -= {"virtual_host"}
    else:
        known &= not _is_ambiguous(url)
    return known and not options & parse_qs(parts.query, keep_blank_values=True).keys()


def _is_ambiguous(url: str) -> bool:
    """Whether a host ends before the last @, where those who read a password to there see none."""
    who, _, _ = url.partition("://")[2].rpartition("@")
    return bool(re.search("[/?#]", who))

"""Whether a server's URL would let somebody between here and there read along, or pretend to be it.

A unix socket and the loopback are this machine. Any other server needs a password and TLS,
and its certificate is checked. URLs in, findings out: nothing here connects, and no part of a
URL is ever said, as a password may stand in it.
"""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qs, quote, urlsplit

from jobs import broker_url
from jobs.errors import UsageError
from jobs.settings import Settings

_PG_TLS = frozenset({"require", "verify-ca", "verify-full"})
# What libpq takes in the place of a password in the URL.
_PG_CREDENTIALS = frozenset({"password", "passfile", "sslcert", "service"})
_CHECKED = frozenset({"required", "cert_required"})

_UNLESS = "or set GISTMILL_ALLOW_INSECURE=true where the network is private"


@dataclass(frozen=True, slots=True)
class Exposure:
    """What is wrong with a URL, and how to mend it."""

    setting: str
    says: str
    do: str

    def __str__(self) -> str:
        return f"{self.setting} {self.says}; {self.do}"


def check(settings: Settings) -> None:
    """Raises UsageError for the first of `found`, and for a URL that names another server to
    kombu than it does here, whatever the settings allow."""
    if settings.broker_url:
        broker_url.check(settings.broker_url)
    for each in found(settings.here):
        raise UsageError(str(each))


def found(settings: Settings) -> Iterator[Exposure]:
    """At most one for each URL, and none where the settings allow them; what is no URL at
    all is for others to say."""
    database, broker = settings.database_url, settings.broker_url
    if settings.url:
        token = settings.token.get_secret_value() if settings.token else None
        yield from of_mill(settings.url, token, allow_insecure=settings.allow_insecure)
    if settings.allow_insecure:
        return
    if database and (lacking := _database_lacks(database)):
        mend = "write postgresql://USER:PASSWORD@HOST/NAME?sslmode=verify-full"
        yield _elsewhere("database_url", lacking, mend)
    if broker and (lacking := _broker_lacks(broker)):
        yield _elsewhere("broker_url", lacking, "write rediss://:PASSWORD@HOST:PORT/0")
    elif broker and _is_unchecked(broker):
        says = "accepts whatever certificate the server shows"
        mend = "leave ssl_cert_reqs and ssl_check_hostname out, and name the CA: ssl_ca_certs=FILE"
        yield Exposure("broker_url", says, f"{mend}; {_UNLESS}")


def of_mill(url: str, token: str | None, *, allow_insecure: bool) -> Iterator[Exposure]:
    """At most one, of the URL of a mill's HTTP API: one that is none, or would give away the token
    that goes with it."""
    try:
        parts = urlsplit(url)
        port_is_one = parts.port is None or parts.port >= 0
    except ValueError:
        parts, port_is_one = urlsplit(""), False
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_one:
        yield Exposure("url", "is no URL of a mill", "write it as https://HOST or http://HOST:PORT")
    elif parts.username is not None or parts.query or parts.fragment:
        mend = "write https://HOST, and give the token by GISTMILL_TOKEN"
        yield Exposure("url", "holds a user's name, a query or a fragment", mend)
    elif token and parts.scheme == "http" and not is_local(parts.hostname) and not allow_insecure:
        yield _elsewhere("url", ["TLS"], "write https://, as a token goes with it")


def is_local(host: str | None) -> bool:
    """Whether it is this machine: the loopback, or a unix socket's path."""
    if not host or host.startswith(("/", "@")):
        return True
    name = host.lower().rstrip(".")
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _elsewhere(setting: str, lacking: list[str], mend: str) -> Exposure:
    says = f"names another machine without {' and without '.join(lacking)}"
    return Exposure(setting, says, f"{mend}, {_UNLESS}")


def _database_lacks(url: str) -> list[str]:
    parts, query = _split(url)
    hosts = [parts.hostname or "", *_listed(query, "host"), *_listed(query, "hostaddr")]
    # Where a service's host lies is written in a file of libpq's.
    if all(map(_is_local_with_port, hosts)) and "service" not in query:
        return []
    modes = query.get("sslmode", ["prefer"])
    return _lacking(
        password=bool(parts.password or _PG_CREDENTIALS & query.keys()),
        tls=all(mode in _PG_TLS for mode in modes),
    )


def _broker_lacks(url: str) -> list[str]:
    """Of several servers, what any of them lacks."""
    lacking = []
    for parts, _ in map(_split, url.split(";")):
        if "socket" in parts.scheme or is_local(parts.hostname):
            continue
        lacking += _lacking(password=bool(parts.password), tls=parts.scheme == "rediss")
    return sorted(set(lacking))


def _lacking(*, password: bool, tls: bool) -> list[str]:
    return [name for name, there in (("a password", password), ("TLS", tls)) if not there]


def _is_unchecked(url: str) -> bool:
    queries = [query for _, query in map(_split, url.split(";"))]
    return any(
        any(value.lower() not in _CHECKED for value in query.get("ssl_cert_reqs", []))
        or any(value.lower() == "false" for value in query.get("ssl_check_hostname", []))
        for query in queries
    )


def _split(url: str) -> tuple[SplitResult, dict[str, list[str]]]:
    """What stands before the last @ is name and password, percent-encoded or not."""
    address, mark, query = url.partition("?")
    scheme, _, rest = address.partition("://")
    who, at, where = rest.rpartition("@")
    try:
        parts = urlsplit(f"{scheme}://{quote(who, safe=':%')}{at}{where}{mark}{query}")
    except ValueError:  # a bracket too few, which whoever connects will say
        parts = urlsplit("")
    return parts, parse_qs(parts.query)


def _listed(query: dict[str, list[str]], name: str) -> list[str]:
    return [host for value in query.get(name, []) for host in value.split(",")]


def _is_local_with_port(host: str) -> bool:
    return is_local(host) or is_local(host.rpartition(":")[0] or "elsewhere")

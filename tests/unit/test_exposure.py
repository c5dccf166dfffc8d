"""Which URLs of servers are refused, and what is said of them: never a part of them."""

import pytest

from jobs import exposure, services
from jobs.errors import UsageError
from jobs.settings import Settings

SECRET = "s3cr3t"
VERIFIED = f"postgresql://me:{SECRET}@db.example.org/mill?sslmode=verify-full"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://gistmill@/postgres?host=/run/sockets",
        "postgresql://localhost/mill",
        "postgresql://me@127.0.0.7:5433/mill",
        "postgresql://[::1]/mill",
        "postgresql:///mill?host=/run/a,localhost:5433",
        VERIFIED,
        VERIFIED.replace("verify-full", "require"),
        "postgresql://me@db.example.org/mill?sslmode=verify-ca&passfile=/etc/pgpass",
        "postgresql://me@10.0.0.5/mill?sslmode=verify-full&sslcert=/c&sslkey=/k",
        "postgresql:///?service=mill&sslmode=verify-full",
    ],
)
def test_a_database_that_may_be_used(url: str) -> None:
    assert list(exposure.found(Settings(database_url=url))) == []


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://me@db.example.org/mill", "without a password and without TLS"),
        (f"postgresql://me:{SECRET}@db.example.org/mill", "machine without TLS"),
        (VERIFIED.replace("verify-full", "prefer"), "machine without TLS"),
        (f"{VERIFIED}&sslmode=disable", "machine without TLS"),
        ("postgresql://me@10.0.0.5/mill?sslmode=require", "machine without a password;"),
        (f"postgresql://me:{SECRET}@/mill?host=10.0.0.5", "machine without TLS"),
        (f"postgresql://me:{SECRET}@localhost/mill?host=localhost,db.example.org", "without TLS"),
        (f"postgresql://me:{SECRET}@localhost/mill?hostaddr=10.0.0.5", "without TLS"),
        (f"postgresql://me:{SECRET}@localhost.example.org/mill", "without TLS"),
        ("postgresql:///?service=mill", "without TLS"),
        (f"postgresql://me:#{SECRET}@db.example.org/mill", "without TLS"),
        (f"postgresql://localhost:/{SECRET}@db.example.org/mill", "without TLS"),
    ],
)
def test_a_database_that_is_refused(url: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        services.connect(Settings(database_url=url, broker_url="redis://localhost"))
    [line] = str(caught.value).splitlines()
    assert line.startswith("database_url names another machine without")
    assert says in line
    assert "sslmode=verify-full, or set GISTMILL_ALLOW_INSECURE=true" in line
    assert SECRET not in line
    allowed = Settings(database_url=url, broker_url="redis://localhost", allow_insecure=True)
    assert services.connect(allowed).database_url == url


@pytest.mark.parametrize(
    "url",
    [
        f"redis+socket://:{SECRET}@/run/vk.sock?virtual_host=0",
        "redis://",
        "redis://localhost:6380/1",
        "redis://127.0.0.1",
        f"rediss://:{SECRET}@cache.example.org:6379/0",
        f"rediss://:{SECRET}@cache.example.org/0?ssl_cert_reqs=CERT_REQUIRED&ssl_ca_certs=/ca.pem",
        "redis://localhost:6379;redis://127.0.0.1:6380",
    ],
)
def test_a_broker_that_may_be_used(url: str) -> None:
    assert list(exposure.found(Settings(broker_url=url))) == []


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis://cache.example.org", "machine without TLS and without a password"),
        (f"redis://:{SECRET}@10.0.0.5:6379/0", "machine without TLS;"),
        ("rediss://cache.example.org", "machine without a password;"),
        (f"redis://:{SECRET}@localhost:1;redis://:{SECRET}@far:2", "machine without TLS;"),
        (f"rediss://:{SECRET}@far/0;rediss://:{SECRET}@far?ssl_cert_reqs=none", "certificate"),
        (f"rediss://:{SECRET}@far/0?ssl_cert_reqs=CERT_OPTIONAL", "whatever certificate"),
        ("rediss://localhost?ssl_check_hostname=False", "whatever certificate"),
    ],
)
def test_a_broker_that_is_refused(url: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        services.connect(Settings(database_url=VERIFIED, broker_url=url))
    [line] = str(caught.value).splitlines()
    assert line.startswith("broker_url")
    assert says in line
    assert "GISTMILL_ALLOW_INSECURE=true" in line
    assert SECRET not in line
    allowed = Settings(database_url=VERIFIED, broker_url=url, allow_insecure=True)
    assert services.connect(allowed).broker_url == url


@pytest.mark.parametrize(
    "url",
    [
        f"redis://evil#{SECRET}@localhost:6379/0",
        f"redis://evil/{SECRET}@localhost:6379/0",
        f"redis://evil?{SECRET}@localhost:6379/0",
        f"redis://localhost;rediss://evil#:{SECRET}@localhost",
        f"redis://:p{SECRET}#@cache.example.org",
        *(f"redis://localhost?{name}={SECRET}" for name in ("hostname", "port", "userid")),
        *(f"redis://localhost?{name}={SECRET}" for name in ("transport", "virtual_host")),
        f"redis+socket:///run/vk.sock?hostname={SECRET}",
    ],
)
@pytest.mark.parametrize("allow", [False, True])
def test_a_broker_that_kombu_takes_for_another(url: str, allow: bool) -> None:
    with pytest.raises(UsageError) as caught:
        services.connect(Settings(database_url=VERIFIED, broker_url=url, allow_insecure=allow))
    [line] = str(caught.value).splitlines()
    assert "/ ? # @ in the password percent-encoded" in line
    assert SECRET not in line


def test_both_are_found() -> None:
    given = Settings(
        database_url="postgresql://db.example.org", broker_url="redis://far.example.org"
    )
    assert [each.setting for each in exposure.found(given)] == ["database_url", "broker_url"]

"""`rediss://` against a real TLS endpoint: certificates are checked unless the URL says no."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme

from jobs import broker
from jobs.broker import Broker
from jobs.errors import BrokerUnreachable
from jobs.settings import Settings
from tests.conftest import TIMINGS

Address = Callable[[trustme.LeafCert], int]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """redis-py and kombu take 10 s to try again and again; they find the same each time."""
    for module in ("redis.retry", "kombu.utils.functional"):
        monkeypatch.setattr(f"{module}.sleep", lambda seconds: None)


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    made = trustme.CA()
    made.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return made


@pytest.fixture
def serve(configured: Settings) -> Iterator[Address]:
    """Start a TLS server in front of the session's Valkey; returns its port on the loopback."""
    listeners: list[socket.socket] = []

    def start(certificate: trustme.LeafCert) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        behind = urlsplit(configured.broker_url or "").path
        threading.Thread(target=_accept, args=(listener, context, behind), daemon=True).start()
        port: int = listener.getsockname()[1]
        return port

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _accept(listener: socket.socket, context: ssl.SSLContext, behind: str) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:  # the test is over
            return
        threading.Thread(target=_forward, args=(connection, context, behind), daemon=True).start()


def _forward(connection: socket.socket, context: ssl.SSLContext, behind: str) -> None:
    try:
        client = context.wrap_socket(connection, server_side=True)
    except OSError:  # it refused our certificate
        connection.close()
        return
    server = socket.socket(socket.AF_UNIX)
    server.connect(behind)
    threading.Thread(target=_copy, args=(server, client), daemon=True).start()
    _copy(client, server)


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while block := source.recv(65536):
            target.sendall(block)
    except OSError:
        pass
    finally:
        for each in (source, target):
            each.close()


@contextmanager
def connected(configured: Settings, port: int, options: str) -> Iterator[Broker]:
    parts = urlsplit(configured.broker_url or "")
    number = parts.query.removeprefix("virtual_host=")
    opened = Broker(f"rediss://:{parts.password}@localhost:{port}/{number}?{options}", TIMINGS)
    yield opened
    opened.close()


def test_the_right_authority(
    configured: Settings, serve: Address, authority: trustme.CA, tmp_path: Path, broker: Broker
) -> None:
    port = serve(authority.issue_cert("localhost"))
    with connected(configured, port, f"ssl_ca_certs={tmp_path}/ca.pem") as encrypted:
        encrypted.send_summarize(1)
        assert encrypted.queue_length() == 1
        assert encrypted.look().encrypted
    assert broker.queue_length() == 1, "the same queue as on the socket"


def test_an_unknown_authority(configured: Settings, serve: Address, authority: trustme.CA) -> None:
    """kombu itself would take any."""
    port = serve(authority.issue_cert("localhost"))
    with connected(configured, port, "") as encrypted:
        assert _refusal(encrypted, configured).startswith(
            "Redis shows a certificate that is refused: unable to get local issuer certificate; "
            "name its CA in broker_url"
        )


def test_a_certificate_of_another_host(
    configured: Settings, serve: Address, authority: trustme.CA, tmp_path: Path
) -> None:
    port = serve(authority.issue_cert("elsewhere.example.org"))
    with connected(configured, port, f"ssl_ca_certs={tmp_path}/ca.pem") as encrypted:
        assert "Hostname mismatch" in _refusal(encrypted, configured)


def test_unchecked_only_where_the_url_says_so(
    configured: Settings, serve: Address, authority: trustme.CA
) -> None:
    """Which needs the setting `allow_insecure`, see tests/unit/test_exposure.py."""
    port = serve(authority.issue_cert("localhost"))
    with connected(configured, port, "ssl_cert_reqs=none") as encrypted:
        assert encrypted.queue_length() == 0


def test_an_authority_that_is_not_there(configured: Settings, serve: Address) -> None:
    port = serve(trustme.CA().issue_cert("localhost"))
    with connected(configured, port, "ssl_ca_certs=/no/such.pem") as encrypted:
        assert "No such file" in _refusal(encrypted, configured)


@pytest.mark.parametrize(
    ("url", "left", "tls"),
    [
        ("redis://host/0", "redis://host/0", None),
        ("rediss://:p%40w@host/0", "rediss://:p%40w@host/0", ("required", True)),
        (
            "rediss://host/0?ssl_cert_reqs=CERT_NONE&ssl_check_hostname=False&virtual_host=2",
            "rediss://host/0?virtual_host=2",
            ("none", False),
        ),
        (
            "rediss://a/0;rediss://b/0?ssl_cert_reqs=optional",
            "rediss://a/0;rediss://b/0",
            ("optional", True),
        ),
    ],
)
def test_options_of_tls(url: str, left: str, tls: tuple[str, bool] | None) -> None:
    wanted = tls and {"ssl_cert_reqs": tls[0], "ssl_check_hostname": tls[1]}
    assert broker.with_tls(url) == (left, wanted)


def _refusal(refused: Broker, configured: Settings) -> str:
    with pytest.raises(BrokerUnreachable) as caught:
        refused.queue_length()
    [line] = str(caught.value).splitlines()
    assert str(urlsplit(configured.broker_url or "").password) not in line
    return line

"""A job's end is told to its webhook: signed, as often as it takes, and nowhere private."""

import json
import os
import re
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from fastapi.testclient import TestClient

from jobs.callers import Caller
from jobs.errors import NotAllowed, UsageError
from jobs.settings import Settings
from jobs.store import deliveries, secrets
from producer import dispatch
from producer.api import app
from producer.client import Client
from producer.job import Job
from producer.webhooks import addresses, sending, signing
from producer.webhooks.senders import Senders
from tests.conftest import TIMINGS
from tests.mill import PATIENCE, Mill, eventually, sentences
from tests.receiver import Receiver, receiving

TOLD_SOON = TIMINGS.model_copy(
    update={"webhook_first": 0.001, "webhook_longest": 0.001, "webhook_tries": 3}
)
HERE = ("127.0.0.0/8",)
_TLS = (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT)


@pytest.fixture
def told(configured: Settings) -> Settings:
    """Settings by which the loopback may be told."""
    return configured.model_copy(update={"webhook_networks": HERE, "timings": TOLD_SOON})


@pytest.fixture
def client(told: Settings) -> Iterator[Client]:
    with Client(settings=told) as opened:
        yield opened


@pytest.fixture
def senders(client: Client) -> Senders:
    """Not begun: a test sends one after the other."""
    return Senders(client.database, TOLD_SOON, HERE)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


def _ended(client: Client, url: str) -> Job:
    """A job that is cancelled: that takes no worker."""
    job = client.submit(sentences(2), model="lead-1", webhook=url)
    job.cancel()
    dispatch.fill(client.database, client.broker, client.settings.timings)
    assert job.status().status == "cancelled"
    return job


def test_from_submit_to_the_receiver(
    told: Settings, tmp_path: Path, receiver: Receiver, mill: Mill
) -> None:
    mill.settings = told
    receiver.answers.append(500)
    mill.dispatcher()
    mill.worker()
    words = ("submit", "-", "--lines", "--model", "lead-1", "--webhook", receiver.url, "-q")
    job_id = mill.say(*words, "--wait", stdin="One text. And more.\n").stdout.strip()

    def state() -> dict[str, Any]:
        said: dict[str, Any] = json.loads(mill.say("status", job_id, "--json").stdout)["webhook"]
        return said

    eventually(lambda: state()["state"] == "delivered", "it is told")
    shown = f"http://127.0.0.1:{receiver.server_port}/told…"
    assert state() == {
        "url": shown, "state": "delivered", "tries": 2, "next_try_at": None, "last_error": None
    }  # fmt: skip
    secret = mill.say("webhook", "secret").stdout.strip()
    first, second = receiver.got
    assert first.is_signed_with(secret)
    assert second.is_signed_with(secret)
    assert first.body == second.body
    is_genuine = _documented()
    assert is_genuine(secret, first.headers, first.body)
    assert not is_genuine(secret, first.headers, first.body + b" ")
    assert not is_genuine(secret, {**first.headers, "webhook-timestamp": "1"}, first.body)
    assert first.path == "/told?key=hidden"
    message = second.message
    assert message.keys() == {"type", "id", "created_at", "data"}
    assert (message["type"], message["id"]) == ("job.completed", second.headers["webhook-id"])
    assert message["id"] == first.headers["webhook-id"]
    assert message["data"]["id"] == job_id
    assert message["data"]["counts"]["completed"] == 1
    assert "hidden" not in second.body.decode()
    assert "hidden" not in mill.logs()


def test_it_is_told_once(client: Client, senders: Senders, receiver: Receiver) -> None:
    _ended(client, receiver.url)
    assert senders.send_one()
    assert not senders.send_one()
    assert len(receiver.got) == 1


def test_a_job_that_ends_again_is_told_again(
    client: Client, senders: Senders, receiver: Receiver
) -> None:
    job = _ended(client, receiver.url)
    senders.send_one()
    job.retry()
    webhook = job.status().webhook
    assert webhook is not None
    assert webhook.state == "waiting"
    job.cancel()
    dispatch.fill(client.database, client.broker, client.settings.timings)
    senders.send_one()
    first, second = receiver.got
    assert first.headers["webhook-id"] != second.headers["webhook-id"]


def test_none_without_a_webhook(client: Client, senders: Senders) -> None:
    job = client.submit(sentences(1), model="lead-1")
    job.cancel()
    assert job.status().webhook is None
    assert not senders.send_one()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (500, "its answer was 500"),
        (302, "its answer was 302, and redirects are not followed"),
    ],
)
def test_it_is_tried_again_and_given_up(
    client: Client, senders: Senders, receiver: Receiver, answer: int, says: str
) -> None:
    job = _ended(client, receiver.url)
    receiver.answers.extend([answer] * 9)
    eventually(lambda: senders.send_one() and _state(job) == "given_up", "it is given up")
    webhook = job.status().webhook
    assert webhook is not None
    assert (webhook.tries, webhook.last_error, webhook.next_try_at) == (3, says, None)
    assert {each.path for each in receiver.got} == {"/told?key=hidden"}
    assert not senders.send_one()


def test_gone_is_not_tried_again(client: Client, senders: Senders, receiver: Receiver) -> None:
    job = _ended(client, receiver.url)
    receiver.answers.append(410)
    assert senders.send_one()
    assert _state(job) == "given_up"
    assert len(receiver.got) == 1


def test_a_receiver_that_is_down_is_told_later(client: Client, senders: Senders) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    job = _ended(client, f"http://127.0.0.1:{port}/")
    assert senders.send_one()
    webhook = job.status().webhook
    assert webhook is not None
    assert (webhook.state, webhook.tries) == ("pending", 1)
    assert "refused" in (webhook.last_error or "")
    with receiving(port) as receiver:
        eventually(lambda: senders.send_one() and _state(job) == "delivered", "it is told")
        assert len(receiver.got) == 1


def test_one_that_says_nothing_is_not_waited_for(client: Client, receiver: Receiver) -> None:
    short = TOLD_SOON.model_copy(update={"webhook_timeout": 0.3})
    job = _ended(client, receiver.url)
    receiver.may_answer.clear()
    assert Senders(client.database, short, HERE).send_one()
    webhook = job.status().webhook
    assert webhook is not None
    assert webhook.last_error == "no answer within 0.3 s"


def test_a_dispatcher_stops_though_names_are_not_found(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No timeout ends a look-up: all threads together are waited for no longer than one drains."""
    looking, found = threading.Barrier(3), threading.Event()
    times = {"dispatch_interval": 0.01, "drain": 0.2, "webhook_timeout": 3600.0}
    short = TOLD_SOON.model_copy(update=times)
    for _ in range(2):
        _ended(client, receiver.url)

    def look(*_: Any, **__: Any) -> list[str]:
        looking.wait()
        found.wait()
        raise OSError(0, "no such name")

    monkeypatch.setattr(addresses, "checked", look)
    with Senders(client.database, short, HERE) as senders:
        looking.wait(PATIENCE)
    assert [thread.is_alive() for thread in senders._threads] == [True, True]
    found.set()
    for thread in senders._threads:
        thread.join()
    assert receiver.got == []


def test_a_dispatcher_is_killed_while_it_tells(
    client: Client, receiver: Receiver, mill: Mill, told: Settings
) -> None:
    """Whoever comes next tells it again, under the same id."""
    mill.settings = told
    _ended(client, receiver.url)
    receiver.may_answer.clear()
    dispatcher = mill.dispatcher()
    eventually(lambda: receiver.got, "it is being told")
    os.killpg(dispatcher.pid, signal.SIGKILL)
    dispatcher.wait()
    receiver.may_answer.set()
    with client.database.transaction() as tx:
        assert deliveries.claim(tx, 1) is None, "its claim has not run out"
        tx.exec_driver_sql("UPDATE deliveries SET next_attempt_at = clock_timestamp()")
    mill.start("another", "dispatch")
    eventually(lambda: len(receiver.got) == 2, "it is told again")
    first, second = receiver.got
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


def test_who_was_too_slow_settles_nothing(client: Client, receiver: Receiver) -> None:
    job = _ended(client, receiver.url)
    with client.database.transaction() as tx:
        slow = deliveries.claim(tx, 0.001)
    assert slow
    eventually(lambda: Senders(client.database, TOLD_SOON, HERE).send_one(), "another claims it")
    with client.database.transaction() as tx:
        deliveries.give_up(tx, slow, "too late")
    assert _state(job) == "delivered"


def test_each_user_has_a_secret_of_their_own(client: Client) -> None:
    with client.database.transaction() as tx:
        tx.exec_driver_sql(
            "INSERT INTO tokens (id, name, digest, scopes) "
            "VALUES ('tok_a', 'a', 'a', '{submit}'), ('tok_b', 'b', 'b', '{submit}')"
        )
    users = [client.of(Caller(name, frozenset(["submit"]))) for name in ("tok_a", "tok_b")]
    theirs = {each.webhook_secret() for each in (client, *users)}
    assert len(theirs) == 3
    assert theirs == {each.webhook_secret() for each in (client, *users)}
    with client.database.transaction() as tx:
        secrets.renew(tx, signing.SECRET)
    assert not theirs & {each.webhook_secret() for each in (client, *users)}


def test_over_http(client: Client, receiver: Receiver) -> None:
    with TestClient(
        app.create(client), base_url="http://localhost", client=("127.0.0.1", 1)
    ) as ask:
        body = {"documents": ["A text."], "model": "lead-1", "webhook": receiver.url}
        made = ask.post("/v1/jobs", json=body)
        assert made.status_code == 201, made.text
        assert made.json()["webhook"]["state"] == "waiting"
        refused = ask.post("/v1/jobs", json={**body, "webhook": "http://10.1.2.3/"})
        assert refused.status_code == 403
        assert "webhook_networks" in refused.text
        assert ask.get("/v1/webhooks/secret").json()["secret"] == client.webhook_secret()


# --- where it may go


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://example.org/", "write https://HOST/PATH"),
        ("https://", "write https://HOST/PATH"),
        ("example.org", "write https://HOST/PATH"),
        ("https://ann:pw@example.org/", "leave user and password out"),
        ("https://example.org/#part", "leave out what follows #"),
        ("https://example.org:99999/", "not a URL"),
        ("https://no-such-host.invalid/", "has no address"),
        ("https://" + 64 * "a" + ".org/", "has no address"),
        ("https://example.org/" + 2000 * "a", "2,000 characters at most"),
    ],
)
def test_what_is_no_webhook(client: Client, url: str, says: str) -> None:
    with pytest.raises(UsageError, match=f"webhook: .*{says}"):
        client.submit(["A text."], model="lead-1", webhook=url)
    assert client.jobs() == []


def test_private_addresses_are_refused(configured: Settings) -> None:
    with Client(settings=configured) as client:
        for host in ("127.0.0.1", "localhost", "[::1]", "2130706433", "0.0.0.0", "10.1.2.3"):
            with pytest.raises(NotAllowed, match="webhook_networks"):
                client.submit(["A text."], model="lead-1", webhook=f"http://{host}/")
        assert client.jobs() == []


def test_a_name_that_leads_elsewhere_later(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What counts is the address that is connected to: this was public when it was submitted."""
    asked: list[str] = []

    def look(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        address = "93.184.215.14" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", look)
        url = f"http://rebinding.test:{receiver.server_port}/"
        with Client(settings=client.settings.model_copy(update={"webhook_networks": ()})) as strict:
            job = _ended(strict, url)
        assert Senders(client.database, TOLD_SOON, ()).send_one()
    assert asked == ["rebinding.test"] * 2
    assert receiver.got == []
    webhook = job.status().webhook
    assert webhook is not None
    assert "127.0.0.1, which is not public" in (webhook.last_error or "")


def test_what_was_checked_is_connected_to(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is looked up once for each try, and the request names it all the same."""
    looked_up = _counting(monkeypatch)
    _ended(client, f"http://receiver.test:{receiver.server_port}/")
    assert Senders(client.database, TOLD_SOON, HERE).send_one()
    (got,) = receiver.got
    assert got.headers["host"] == f"receiver.test:{receiver.server_port}"
    assert looked_up == ["receiver.test"] * 2


def test_certificates_are_checked(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the name, though it is the address that is connected to."""
    authority = trustme.CA()
    served, trusted = (ssl.SSLContext(kind) for kind in _TLS)
    authority.issue_cert("receiver.test").configure_cert(served)
    authority.configure_trust(trusted)
    receiver.socket = served.wrap_socket(receiver.socket, server_side=True)
    monkeypatch.setattr(sending, "_tls", lambda: trusted)
    _counting(monkeypatch)
    senders = Senders(client.database, TOLD_SOON, HERE)
    job = _ended(client, f"https://127.0.0.1:{receiver.server_port}/")
    assert senders.send_one()
    webhook = job.status().webhook
    assert webhook is not None
    assert "certificate verify failed" in (webhook.last_error or "")
    job = _ended(client, f"https://receiver.test:{receiver.server_port}/")
    assert senders.send_one()
    assert _state(job) == "delivered"
    assert len(receiver.got) == 1


def _documented() -> Callable[..., bool]:
    """The receiver's check that docs/webhooks.md has to copy."""
    page = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    checks: Callable[..., bool] = names["is_genuine"]
    return checks


def _counting(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    real: Callable[..., list[Any]] = socket.getaddrinfo
    asked: list[str] = []

    def look(host: str, port: int, *words: Any, **more: Any) -> list[Any]:
        if host != "receiver.test":
            return real(host, port, *words, **more)
        asked.append(host)
        return real("127.0.0.1", port, *words, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look)
    return asked


def _state(job: Job) -> str:
    webhook = job.status().webhook
    assert webhook is not None
    return webhook.state

"""Who may ask over HTTP: without tokens this machine alone, and with them their holders."""

import httpx
import pytest
from starlette.datastructures import Headers

from jobs.callers import OWN
from jobs.errors import NotAllowed
from jobs.settings import Settings
from producer.api import guard
from producer.client import Client
from tests.mill import Mill
from tests.serving import serving

HERE = {"host": "127.0.0.1:8000"}


@pytest.mark.parametrize(
    ("peer", "headers"),
    [
        ("192.0.2.7", HERE),
        ("::ffff:192.0.2.7", HERE),
        (None, HERE),
        ("127.0.0.1", {}),
        ("127.0.0.1", {"host": "rebound.example.org:8000"}),
        ("127.0.0.1", {"host": "127.0.0.1.example.org"}),
        ("127.0.0.1", {**HERE, "origin": "https://example.org"}),
        ("127.0.0.1", {**HERE, "origin": "null"}),
        ("127.0.0.1", {**HERE, "origin": "http://127.0.0.1:9999"}),
        ("127.0.0.1", {**HERE, "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}),
        *(
            ("127.0.0.1", {**HERE, name: "1"})
            for name in ("Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Real-IP", "Via")
        ),
    ],
)
def test_strangers_without_tokens(
    configured: Settings, peer: str | None, headers: dict[str, str]
) -> None:
    with Client(settings=configured) as client, pytest.raises(NotAllowed):
        guard.caller(client, Headers(headers), peer)


@pytest.mark.parametrize(
    ("peer", "headers"),
    [
        ("127.0.0.1", HERE),
        ("127.0.0.5", {"host": "localhost"}),
        ("::1", {"host": "[::1]:8000"}),
        ("::ffff:127.0.0.1", {"host": "LOCALHOST:1"}),
        ("127.0.0.1", {**HERE, "origin": "http://127.0.0.1:8000"}),
        ("127.0.0.1", {**HERE, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}),
    ],
)
def test_this_machine_without_tokens(
    configured: Settings, peer: str, headers: dict[str, str]
) -> None:
    with Client(settings=configured) as client:
        assert guard.caller(client, Headers(headers), peer) == OWN


def test_with_tokens(mill: Mill) -> None:
    refused = mill.say("serve", "--host", "0.0.0.0", "--port", "0", expect=4)
    assert "gistmill token create" in refused.stderr
    with serving(mill) as served:
        reading = mill.say("token", "create", "reader", "--scope", "read").stdout.strip()
        submitting = mill.say("token", "create", "writer").stdout.strip()
        assert _ask(served.url, reading) == 200
        assert _ask(served.url, submitting) == 200
        for wrong in (None, "gm_wrong", f"{reading}x"):
            assert _ask(served.url, wrong) == 401
        with served.http(reading) as http:
            body = {"model": "lead-1", "documents": ["A."]}
            assert http.post("/v1/jobs", json=body).status_code == 403
            assert http.post("/v1/files", files={"file": ("a", b"A.")}).status_code == 403
        with served.http(submitting) as http:
            job = http.post("/v1/jobs", json={"model": "lead-1", "documents": ["A."]}).json()["id"]
            file = http.post("/v1/files", files={"file": ("a", b"A.")}).json()["id"]
            # Behind a proxy, and under whatever name: the token is enough.
            headers = {"Host": "mill.example.org", "X-Forwarded-For": "192.0.2.7"}
            assert http.get(f"/v1/files/{file}", headers=headers).status_code == 200
        with served.http(reading) as http:
            for others in (f"/v1/jobs/{job}", f"/v1/jobs/{job}/events", f"/v1/files/{file}"):
                assert http.get(others).status_code == 404
            assert http.get("/v1/files").json()["data"] == []
            assert http.get("/v1/jobs/%0Anothing").status_code == 404
        mill.say("token", "revoke", "reader")
        assert _ask(served.url, reading) == 401
        assert _ask(served.url, submitting) == 200
        mill.say("token", "revoke", "writer")
        assert _ask(served.url, submitting) == 401
        assert _ask(served.url, None) == 401, "that none is left opens nothing"
    listed = mill.say("token", "ls").stdout
    log = mill.log("serve").read_text()
    for token in (reading, submitting):
        assert token not in listed
        assert token not in log
    assert '"path": "/v1/jobs", "status": 401' in log
    assert '"path": "/v1/jobs/%0Anothing", "status": 404' in log


def test_other_hosts_and_ports(mill: Mill) -> None:
    with serving(mill, "--host", "::1") as served:
        assert served.url.startswith("http://[::1]:")
        assert httpx.get(f"{served.url}/v1/jobs", trust_env=False).status_code == 200
        port = served.url.rpartition(":")[2]
        used = mill.say("serve", "--host", "::1", "--port", port, expect=5).stderr
        assert used.count("\n") == 1
        assert f"can not listen on ::1:{port}" in used
    nowhere = mill.say("serve", "--host", "nowhere.invalid", expect=5).stderr
    assert "choose another --host" in nowhere


def _ask(url: str, token: str | None) -> int:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.get(f"{url}/v1/jobs", headers=headers, trust_env=False).status_code

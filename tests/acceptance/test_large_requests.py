"""What is sent over HTTP is bounded, and of strangers little is read."""

from collections.abc import Iterator

import pytest

from jobs.services import Endpoints
from tests.acceptance.test_login import served_of_its_own
from tests.serving import Served

HELD = 64 * 1024


@pytest.fixture(scope="module")
def served(
    endpoints: Endpoints, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """With a token."""
    with served_of_its_own(endpoints, migrated, tmp_path_factory.mktemp("served")) as found:
        found.token("admin", name="first")
        yield found


def pieces(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield b" " * 1024


def test_of_a_stranger_nothing_large_is_read(served: Served) -> None:
    token = served.token("submit")
    large = b"[" * (HELD + 1)
    with served.http() as http:
        # Not 422: nobody looked whether it is JSON.
        assert http.post("/v1/jobs", content=large).status_code == 401
        answer = http.post("/v1/batches", content=pieces(65))
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "invalid_api_key"
        assert answer.headers["www-authenticate"] == "Bearer"
    with served.http(token) as http:
        assert http.post("/v1/jobs", content=large).status_code == 422


def test_the_login_is_small(served: Served) -> None:
    with served.http() as http:
        for body in (b"token=" + b"a" * HELD, pieces(65)):
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = http.post("/login", content=body, headers=kind)
            assert answer.status_code == 413
            assert "65,536" in answer.json()["detail"]


def test_fields_without_end(served: Served) -> None:
    """A form's fields would be held in memory."""
    part = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n'
    with served.http(served.token("submit")) as http:
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        for names in ([b"purpose", b"purpose"], [b"a"]):
            body = b"\r\n".join((part % name) + b"x" for name in names) + b"\r\n--b"
            answer = http.post("/v1/files", content=body, headers=kind)
            assert answer.status_code == 400
            assert "means nothing here" in answer.json()["detail"]

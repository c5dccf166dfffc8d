"""Each operation of the API, and who may ask for it."""

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from jobs.callers import SCOPES, Scope
from jobs.settings import Settings
from jobs.store import tokens
from producer.api import app
from producer.client import Client

NEEDED: dict[str, Scope | None] = {
    "healthz": None,
    **dict.fromkeys(("list_jobs", "get_job", "get_submission", "get_results"), "read"),
    **dict.fromkeys(("get_failures", "get_evaluation", "get_diff", "get_events"), "read"),
    **dict.fromkeys(("list_files", "get_file", "get_content"), "read"),
    **dict.fromkeys(("list_batches", "get_batch", "list_models", "get_model"), "read"),
    "get_webhook_secret": "submit",
    **dict.fromkeys(("create_job", "cancel_job", "pause_job", "resume_job"), "submit"),
    **dict.fromkeys(("set_priority", "retry_job"), "submit"),
    **dict.fromkeys(("create_file", "delete_file", "create_batch", "cancel_batch"), "submit"),
    "purge": "admin",
}


@pytest.fixture
def client(configured: Settings) -> Iterator[Client]:
    with Client(settings=configured) as opened:
        yield opened


@pytest.fixture
def http(client: Client) -> Iterator[TestClient]:
    with TestClient(
        app.create(client),
        base_url="http://127.0.0.1",
        client=("127.0.0.1", 1),
        raise_server_exceptions=False,
    ) as opened:
        yield opened


def test_each_operation_with_each_scope(client: Client, http: TestClient) -> None:
    held = {scope: _token(client, scope) for scope in SCOPES}
    gone = _token(client, "admin", "gone")
    with client.database.transaction() as tx:
        tokens.revoke(tx, "gone")
    seen = set()
    for path, method, name in _operations(http):
        seen.add(name)
        needed = NEEDED[name]
        for token in ("", "gm_unknown", gone):
            status = _ask(http, method, path, token).status_code
            assert (status == 401) == (needed is not None), (name, status)
        for scope in SCOPES:
            status = _ask(http, method, path, held[scope]).status_code
            may = needed is None or SCOPES.index(scope) >= SCOPES.index(needed)
            assert (status == 403) != may, (name, scope, status)
            assert status < 500, (name, scope, status)
    assert seen == set(NEEDED)


def test_what_is_another_ones_answers_as_what_there_is_not(
    client: Client, http: TestClient
) -> None:
    own, other = _token(client, "submit", "own"), _token(client, "submit", "other")
    body = {"model": "lead-1", "documents": ["One. Two."]}
    job = http.post("/v1/jobs", json=body, headers=_with(own)).json()["id"]
    file = http.post("/v1/files", files={"file": ("a.jsonl", b"{}")}, headers=_with(own)).json()
    asked = 0
    for path, method, name in _operations(http):
        for parameter, there in (("{job_id}", job), ("{file_id}", file["id"])):
            if parameter not in path or NEEDED[name] == "admin":
                continue
            asked += 1
            absent = there[:-4] + "zzzz"
            theirs = _ask(http, method, path.replace(parameter, there), other)
            nobodys = _ask(http, method, path.replace(parameter, absent), other)
            # A body that does not fit is refused alike.
            assert theirs.status_code == nobodys.status_code in (404, 422, 400), name
            assert theirs.text.replace(there, "ID") == nobodys.text.replace(absent, "ID"), name
    assert asked > 10
    assert http.get("/v1/jobs", headers=_with(other)).json()["data"] == []
    assert http.get("/v1/files", headers=_with(other)).json()["data"] == []
    assert http.get(f"/v1/jobs/{job}", headers=_with(own)).status_code == 200


def test_servers_of_a_mill_take_the_same_sessions(client: Client) -> None:
    one, another = (app.create(client).state.sessions for _ in range(2))
    assert another.token_id({"gistmill_session": one.cookie("tok_a")}) == "tok_a"
    assert another.token_id({"gistmill_session": one.cookie("tok_a") + "x"}) is None


def _operations(http: TestClient) -> Iterator[tuple[str, str, str]]:
    """Path, method and name of each."""
    for path, methods in http.get("/openapi.json").json()["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation["operationId"]


def _ask(http: TestClient, method: str, path: str, token: str) -> Any:
    """Of things that there are not, where the path names any."""
    body: dict[str, str] | None = {} if method == "post" else None
    return http.request(method, path, json=body, headers=_with(token))


def _with(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def _token(client: Client, scope: Scope, name: str = "test") -> str:
    with client.database.transaction() as tx:
        return tokens.create(tx, name, [scope])

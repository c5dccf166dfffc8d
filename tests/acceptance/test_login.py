"""Who may see the page, and what of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from jobs.callers import Caller
from jobs.services import Endpoints
from jobs.store import tokens
from producer.api.sessions import COOKIE
from tests.browser import Watched, shot
from tests.conftest import mill_of_its_own
from tests.mill import PATIENCE, Mill
from tests.serving import Served, serving

expect.set_options(timeout=PATIENCE * 1000 / 3)

HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}
SOCKET = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"


@contextmanager
def served_of_its_own(endpoints: Endpoints, migrated: str, folder: Path) -> Iterator[Served]:
    """Of a mill in which nobody works."""
    with mill_of_its_own(endpoints, migrated, folder) as configured:
        mill = Mill(configured, folder)
        with serving(mill) as found:
            yield found
        print(mill.logs())


@pytest.fixture(scope="module")
def opened(
    endpoints: Endpoints, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """Without tokens."""
    with served_of_its_own(endpoints, migrated, tmp_path_factory.mktemp("opened")) as found:
        yield found


@pytest.fixture(scope="module")
def served(
    endpoints: Endpoints, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """With a token."""
    with served_of_its_own(endpoints, migrated, tmp_path_factory.mktemp("served")) as found:
        found.token("admin", name="first")
        yield found


def submitted(served: Served, token: str | None, name: str) -> None:
    """A job of that token's."""
    with served.mill.client() as client:
        with client.database.transaction() as tx:
            caller = tokens.caller(tx, token) if token else None
        owner = client if caller is None else client.of(Caller(caller.token, caller.scopes))
        owner.submit(["A text."], model="lead-3", name=name)


def log_in(tab: Page, token: str) -> None:
    tab.get_by_label("Token").fill(token)
    tab.get_by_role("button", name="Log in").click()


def test_in_by_a_token_and_out_again(served: Served, tab: Page, watched: Watched) -> None:
    mine, others = served.token("submit", name="me"), served.token("submit", name="other")
    submitted(served, mine, "Mine")
    submitted(served, others, "Not mine")
    tab.goto(served.url + "/submit")
    shot(tab, "login")
    log_in(tab, "gm_wrong")
    expect(tab.get_by_role("alert")).to_contain_text("No such token")
    watched.wrong.clear()  # the browser writes of the 401
    log_in(tab, mine)
    tab.wait_for_url(served.url + "/submit")
    tab.get_by_role("link", name="Jobs").click()
    expect(tab.get_by_role("link", name="Mine", exact=True)).to_be_visible()
    expect(tab.get_by_role("link", name="Not mine")).to_have_count(0)
    cookie = next(each for each in watched.context.cookies() if each["name"] == COOKIE)
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Lax"
    assert mine not in cookie["value"]
    tab.get_by_role("button", name="Log out").click()
    tab.wait_for_url(served.url + "/login")
    tab.goto(served.url)
    assert tab.url.startswith(served.url + "/login")


def test_who_may_only_read_changes_nothing(served: Served, tab: Page, watched: Watched) -> None:
    token = served.token("read")
    submitted(served, token, "To be seen")
    tab.goto(served.url)
    log_in(tab, token)
    expect(tab.get_by_role("link", name="To be seen")).to_be_visible()
    expect(tab.get_by_role("link", name="New job")).to_have_count(0)
    expect(tab.get_by_role("button", name="Cancel")).to_have_count(0)
    tab.goto(served.url + "/submit")
    expect(tab.get_by_role("alert")).to_contain_text("may read jobs")


def test_a_revoked_token_ends_what_is_open(served: Served, tab: Page) -> None:
    token = served.token("read", name="gone")
    tab.goto(served.url)
    log_in(tab, token)
    expect(tab.get_by_role("heading", name="No jobs yet")).to_be_visible()
    with served.mill.client() as client, client.database.transaction() as tx:
        tokens.revoke(tx, "gone")
    tab.wait_for_url(served.url + "/login")


def test_a_session_changes_nothing_for_another_site(served: Served) -> None:
    token = served.token("submit")
    with served.http() as http:
        entered = http.post("/login", data={"token": token}, headers={"Origin": served.url})
        assert entered.status_code == 303
        assert "secure" not in entered.headers["set-cookie"].lower()
        # As a browser writes it that speaks TLS to a proxy before us.
        by_tls = {"Origin": served.url.replace("http:", "https:")}
        entered = httpx.post(f"{served.url}/login", data={"token": token}, headers=by_tls)
        assert "secure" in entered.headers["set-cookie"].lower()
        body = {"model": "lead-3", "documents": ["A text."]}
        assert http.get("/v1/jobs").status_code == 200
        assert http.post("/v1/jobs", json=body).status_code == 401
        foreign = {"Origin": "https://elsewhere.example"}
        assert http.post("/v1/jobs", json=body, headers=foreign).status_code == 401
        own = {"Origin": served.url}
        assert http.post("/v1/jobs", json=body, headers=own).status_code == 201
        assert http.get(SOCKET, headers=HANDSHAKE | foreign).status_code == 403
        forged = {COOKIE: http.cookies[COOKIE][:-1] + "x"}
    assert httpx.get(served.url + "/v1/jobs", cookies=forged, trust_env=False).status_code == 401


def test_another_site_can_not_log_anybody_in(served: Served) -> None:
    token = served.token("submit")
    with served.http() as http:
        for headers in ({}, {"Origin": "https://elsewhere.example"}):
            refused = http.post("/login", data={"token": token}, headers=headers)
            assert refused.status_code == 403
            assert COOKIE not in refused.cookies


@pytest.mark.parametrize("wanted", ["//elsewhere.example/", "https://elsewhere.example", "\\\\x"])
def test_the_login_leads_nowhere_else(served: Served, wanted: str) -> None:
    token = served.token("submit")
    with served.http() as http:
        form = {"token": token, "next": wanted}
        entered = http.post("/login", data=form, headers={"Origin": served.url})
        assert entered.headers["Location"] == "/"


@pytest.mark.parametrize("path", ["/", "/submit", "/jobs/job_1", "/_nicegui_ws/x", SOCKET])
def test_without_tokens_it_is_for_this_machine_alone(opened: Served, path: str) -> None:
    with opened.http() as http:
        for headers in (
            {"Host": "elsewhere.example"},
            {"Origin": "https://elsewhere.example"},
            {"X-Forwarded-For": "192.0.2.1"},
        ):
            more = HANDSHAKE if path == SOCKET else {}
            assert http.get(path, headers=headers | more).status_code == 403


def test_nothing_is_had_from_elsewhere_and_nobody_frames_it(opened: Served) -> None:
    with opened.http() as http:
        policy = http.get("/").headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "://" not in policy

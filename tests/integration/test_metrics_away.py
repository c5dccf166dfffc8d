"""What the API's `/metrics` says while what it asks is away."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from jobs.settings import Settings
from producer.api import app
from producer.client import Client

NOWHERE = "127.0.0.1:1"


@pytest.fixture
def away(tmp_path: Path) -> Settings:
    return Settings(
        home=tmp_path,
        database_url=f"postgresql://{NOWHERE}/none",
        broker_url=f"redis://{NOWHERE}/0",
    )


def scrape(client: Client) -> str:
    with TestClient(
        app.create(client), base_url="http://127.0.0.1", client=("127.0.0.1", 50_000)
    ) as http:
        answer = http.get("/metrics")
    assert answer.status_code == 200, answer.text
    return answer.text


@pytest.fixture
def without_broker(configured: Settings, away: Settings) -> Iterator[Client]:
    with Client(settings=configured.model_copy(update={"broker_url": away.broker_url})) as client:
        yield client


def test_without_the_database_nothing_else_is_said(away: Settings) -> None:
    with Client(settings=away) as client:
        lines = scrape(client).splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["gistmill_database_up 0.0"]


def test_without_the_broker_sql_still_tells(without_broker: Client) -> None:
    seen = scrape(without_broker)
    assert "gistmill_broker_up 0.0" in seen
    assert "gistmill_database_up 1.0" in seen
    assert "gistmill_queue_messages" not in seen
    assert 'gistmill_jobs{status="in_progress"} 0.0' in seen

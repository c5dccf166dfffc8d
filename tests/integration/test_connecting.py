"""How a worker's parent comes by its connection to Redis, and what it leaves out."""

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from kombu import Connection
from kombu.utils import functional

from tests.mill import Mill, eventually
from worker import consumer
from worker.consumer import Consumer


class Enough(Exception):
    """Of waiting."""


def test_pauses_stay_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if sum(slept) > 60:
            raise Enough

    monkeypatch.setattr(functional, "sleep", sleep)
    parent: Any = SimpleNamespace(first_connection_attempt=True)
    caplog.set_level(logging.WARNING)
    with pytest.raises(Enough):
        Consumer.ensure_connected(parent, Connection(f"redis+socket://{tmp_path}/none.sock"))
    # Of 1, 2, 3, 4 and then 5 s: many tries in a minute. Celery's own 30 s make it eight.
    assert len(caplog.records) > 12


def test_refused_is_not_asked_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(consumer, "sleep", slept.append)
    parent: Any = SimpleNamespace()
    Consumer.on_connection_error_before_connected(parent, redis.ReadOnlyError("READONLY"))
    assert slept
    assert slept[0] >= 1


def test_workers_send_no_events(mill: Mill) -> None:
    """Each would be sent from the loop that takes work, which a silent Redis would stop."""
    mill.worker()
    eventually(lambda: "is ready" in mill.log("worker").read_text(), "the worker is ready")
    parts = urlsplit(mill.settings.broker_url or "")
    with redis.Redis(unix_socket_path=parts.path, password=parts.password) as server:
        asked = server.info("commandstats")
    assert "cmdstat_sadd" in asked, "it has declared its queue"
    assert "cmdstat_publish" not in asked

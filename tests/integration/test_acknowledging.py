"""A Redis that is gone, or refuses, when a message is acknowledged or given back: the worker
asks for the next one all the same, and so finds out and connects again."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest
import redis
from celery.worker import state
from kombu import Connection, Consumer, Queue
from kombu.exceptions import OperationalError

from jobs import messages
from jobs.broker import Broker
from jobs.services.places import valkey_server
from tests.conftest import TIMINGS
from tests.mill import eventually
from worker.consumer import Consumer as WorkerConsumer
from worker.tasks import Request, summarize

LETS_GO = [
    pytest.param(Request.acknowledge, id="acknowledged"),
    pytest.param(lambda request: request.reject(requeue=True), id="given back"),
]


class Hand:
    """A message in a parent's hands, of a server that may be broken."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "vk.sock"
        command = [str(valkey_server()), "--port", "0", "--unixsocket", str(self.socket)]
        self.server = subprocess.Popen(
            [*command, "--save", ""], cwd=folder, stdout=subprocess.DEVNULL
        )
        eventually(self.socket.exists, "Valkey listens")
        url = f"redis+socket://{self.socket}?virtual_host=0"
        Broker(url, TIMINGS).send_summarize(7)
        self.connection = Connection(url, transport_options={"global_keyprefix": "gistmill:"})
        self.channel = cast(Any, self.connection.channel())
        self.channel.basic_qos(0, 1, False)
        taken: list[Any] = []
        queue = Queue(messages.QUEUE)
        self._consumer = Consumer(self.channel, queue, on_message=taken.append, accept=["json"])
        self._consumer.consume()
        self.connection.drain_events(timeout=5)
        self.request = Request(
            taken[0],
            on_ack=taken[0].ack_log_error,
            on_reject=taken[0].reject_log_error,
            connection_errors=self.connection.connection_errors,
            task=summarize,
        )

    def stop(self) -> None:
        self.server.kill()
        self.server.wait()


@pytest.fixture
def hand(tmp_path: Path) -> Iterator[Hand]:
    made = Hand(tmp_path)
    assert not made.channel.qos.can_consume(), "with one in hand"
    yield made
    with suppress(*made.connection.connection_errors):
        # Or it gives back what is in hand when this process ends.
        made.connection.close()
    made.stop()


@pytest.mark.parametrize("let_go", LETS_GO)
def test_redis_is_gone(hand: Hand, let_go: Callable[[Request], None]) -> None:
    hand.stop()
    let_go(hand.request)
    assert hand.request.acknowledged
    assert hand.channel.qos.can_consume()
    with pytest.raises((*hand.connection.connection_errors, OperationalError)):
        hand.connection.drain_events(timeout=5)


@pytest.mark.parametrize("let_go", LETS_GO)
def test_redis_is_read_only(hand: Hand, let_go: Callable[[Request], None]) -> None:
    with redis.Redis(unix_socket_path=str(hand.socket)) as server:
        server.replicaof("127.0.0.1", 1)
        let_go(hand.request)
        assert hand.request.acknowledged
        assert hand.channel.qos.can_consume()
        server.replicaof("NO", "ONE")
    Broker(f"redis+socket://{hand.socket}?virtual_host=0", TIMINGS).send_summarize(8)
    hand.connection.drain_events(timeout=5)
    assert not hand.channel.qos.can_consume(), "with the next one in hand"


def test_who_was_asked_to_stop_tells_nobody(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    """A silent Redis would take the time there is; what is to do is sent again from SQL."""
    monkeypatch.setattr(state, "should_stop", 0)
    hand.request.acknowledge()
    assert hand.request.acknowledged
    assert hand.channel.qos.can_consume()
    with redis.Redis(unix_socket_path=str(hand.socket)) as server:
        assert server.hlen("gistmill:unacked") == 1


def test_redis_is_gone_when_a_message_is_dropped(
    hand: Hand, caplog: pytest.LogCaptureFixture
) -> None:
    """One that is none of ours never becomes a request."""
    consumer: Any = WorkerConsumer.__new__(WorkerConsumer)  # without a worker around it
    consumer.strategies, consumer.on_task_message = {}, set()
    receive = consumer.create_task_handler()
    del hand.request.message.headers["id"]
    hand.stop()
    receive(hand.request.message)
    assert hand.channel.qos.can_consume()
    assert "CRITICAL" not in caplog.text

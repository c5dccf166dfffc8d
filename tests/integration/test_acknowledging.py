"""A Redis that is gone when a message is acknowledged: the worker asks for the next one all the
same, and so finds out and connects again."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection, Consumer, Queue
from kombu.exceptions import OperationalError

from jobs import messages
from jobs.broker import Broker
from jobs.services.places import valkey_server
from tests.conftest import TIMINGS
from tests.mill import eventually
from worker.tasks import Request, summarize


def test_a_failed_acknowledgement_frees_the_hands(tmp_path: Path) -> None:
    socket = tmp_path / "vk.sock"
    command = [str(valkey_server()), "--port", "0", "--unixsocket", str(socket), "--save", ""]
    server = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
    eventually(socket.exists, "Valkey listens")
    url = f"redis+socket://{socket}?virtual_host=0"
    Broker(url, TIMINGS).send_summarize(7)
    with Connection(url, transport_options={"global_keyprefix": "gistmill:"}) as connection:
        taken: list[Any] = []
        channel: Any = connection.channel()
        channel.basic_qos(0, 1, False)
        queue = Queue(messages.QUEUE)
        with Consumer(channel, queue, on_message=taken.append, accept=["json"]):
            connection.drain_events(timeout=5)
            assert not channel.qos.can_consume(), "with one in hand"
            server.kill()
            server.wait()
            request = Request(
                taken[0],
                on_ack=taken[0].ack_log_error,
                connection_errors=connection.connection_errors,
                task=summarize,
            )
            request.acknowledge()
            assert request.acknowledged
            assert channel.qos.can_consume()
            with pytest.raises((*connection.connection_errors, OperationalError)):
                connection.drain_events(timeout=5)

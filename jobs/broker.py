"""Redis as Celery sees it: one queue of wake-ups that may be lost, doubled or late.

Both sides make their Celery application here, so that they cannot disagree;
the producer sends tasks by name and never imports the worker.
"""

import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from celery import Celery
from kombu import Queue
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError, ResponseError

from jobs import broker_url, exposure, messages
from jobs.errors import BrokerUnreachable
from jobs.settings import Timings

_SOCKET_SECONDS = 10
_CONNECT_SECONDS = 5
# Until a connection that went silent is given up; kombu's own 25 s make it 50.
_HEALTH_SECONDS = 5
# A child that loads slowly is not a child that failed to start.
_CHILD_START_SECONDS = 600


def make_app(url: str, timings: Timings, *, include: Sequence[str] = ()) -> Celery:
    """Raises UsageError for what is not the URL of a Redis."""
    broker_url.check(url)
    url, tls = with_tls(url)
    app = Celery("gistmill", broker=url, include=list(include), set_as_current=bool(include))
    app.conf.update(
        broker_use_ssl=tls,
        accept_content=["json"],
        task_serializer="json",
        result_backend=None,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_default_queue=messages.QUEUE,
        task_queues=[Queue(messages.QUEUE, routing_key=messages.QUEUE)],
        task_create_missing_queues=False,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_acks_on_failure=True,
        task_acks_on_timeout=False,
        task_time_limit=timings.task_limit,
        worker_pool="prefork",
        worker_pool_start_method="spawn",
        worker_concurrency=1,
        worker_prefetch_multiplier=1,
        worker_proc_alive_timeout=_CHILD_START_SECONDS,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,
        broker_transport_options={
            "global_keyprefix": "gistmill:",
            "visibility_timeout": timings.visibility,
            "socket_timeout": _SOCKET_SECONDS,
            "socket_connect_timeout": _CONNECT_SECONDS,
            "socket_keepalive": True,
            "health_check_interval": _HEALTH_SECONDS,
        },
    )
    return app


@dataclass(frozen=True, slots=True)
class BrokerHealth:
    """A Redis as it is set up."""

    server: str
    """Its name and version."""
    eviction: str | None
    """Its `maxmemory-policy`; None where it does not say."""
    address: str
    """Without the password."""
    encrypted: bool
    local: bool
    """On a unix socket or the loopback."""


class Broker:
    """Sends messages and counts those that wait. Connects when first asked."""

    def __init__(self, url: str, timings: Timings) -> None:
        """Raises UsageError for what is not the URL of a Redis."""
        self._url = url
        self._app = make_app(url, timings)

    def send_validate(self, job_id: str) -> None:
        self._send(messages.VALIDATE, job_id)

    def send_summarize(self, shard_id: int) -> None:
        self._send(messages.SUMMARIZE, shard_id)

    def queue_length(self) -> int:
        """Messages that no worker has taken yet."""
        with _reachable(), self._app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=_CONNECT_SECONDS)
            # Declared anew each time: a Redis that was flushed knows no queue.
            queue: Any = self._app.amqp.queues[messages.QUEUE](connection.default_channel)
            return int(queue.queue_declare().message_count)

    def look(self) -> BrokerHealth:
        """What a doctor wants to know. Raises BrokerUnreachable."""
        with _reachable(), self._app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=_CONNECT_SECONDS)
            channel: Any = connection.default_channel
            client = channel.client
            return BrokerHealth(
                server=_server(client),
                eviction=_eviction(client),
                address=connection.as_uri(),
                encrypted=bool(connection.ssl) or self._url.startswith("rediss"),
                local=_is_local(self._url),
            )

    def purge(self) -> int:
        """Throw all waiting messages away, which harms nothing; returns how many."""
        with _reachable(), self._app.connection_for_write() as connection:
            return int(self._app.control.purge(connection=connection))

    def close(self) -> None:
        self._app.close()

    def _send(self, task: str, identifier: str | int) -> None:
        with _reachable():
            self._app.send_task(
                task,
                kwargs=messages.encode(identifier),
                queue=messages.QUEUE,
                ignore_result=True,
                retry=False,
            )


def with_tls(url: str) -> tuple[str, dict[str, Any] | None]:
    """The URL without the options of TLS, and these; None for a URL without TLS.

    kombu 5.7 checks no certificate of a `rediss://` unless it is told to, and takes what
    stands in a URL instead of what it was told. Here certificate and host name are checked
    unless the URL itself says otherwise, which `jobs.exposure` refuses.
    """
    parts = [urlsplit(each) for each in url.split(";")]
    if not any(each.scheme == "rediss" for each in parts):
        return url, None
    given = {name: value for each in parts for name, value in parse_qsl(each.query)}
    tls: dict[str, Any] = {name: text for name, text in given.items() if name.startswith("ssl_")}
    tls["ssl_cert_reqs"] = tls.get("ssl_cert_reqs", "required").lower().removeprefix("cert_")
    tls["ssl_check_hostname"] = tls.get("ssl_check_hostname", "true").lower() != "false"
    rest = urlencode({name: text for name, text in given.items() if name not in tls})
    return ";".join(each._replace(query=rest).geturl() for each in parts), tls


def _server(client: Any) -> str:
    """Valkey tells its clients a version of Redis beside its own."""
    info = client.info("server")
    if "valkey_version" in info:
        return f"Valkey {info['valkey_version']}"
    return f"Redis {info['redis_version']}"


def _eviction(client: Any) -> str | None:
    try:
        return str(client.config_get("maxmemory-policy")["maxmemory-policy"])
    except ResponseError:  # managed servers do not let clients ask
        return None


def _is_local(url: str) -> bool:
    parts = [urlsplit(each) for each in url.split(";")]
    return all("socket" in each.scheme or exposure.is_local(each.hostname) for each in parts)


@contextmanager
def _reachable() -> Iterator[None]:
    try:
        yield
    except (OperationalError, RedisError, OSError) as error:
        if refused := _certificate_error(error):
            raise BrokerUnreachable(
                f"Redis shows a certificate that is refused: {refused.verify_message}; name its CA "
                "in broker_url, as in rediss://HOST:6379/0?ssl_ca_certs=FILE, and its host as the "
                "certificate does"
            ) from error
        raise BrokerUnreachable(f"Redis does not answer: {error}") from error


def _certificate_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """The one that caused `error`, however often it was raised anew."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error

"""`/metrics`: the mill as Prometheus wants it, asked from SQL and Redis when somebody scrapes.

What stands here are levels: how much waits, who lives, whether it moves. What was done, by model
and with what outcome, the workers count (`worker.metrics`): SQL forgets jobs that are purged.
"""

from collections import Counter as Tally
from collections.abc import Iterator
from threading import Lock
from time import monotonic

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.registry import Collector

from jobs.errors import BrokerUnreachable, DatabaseUnreachable
from jobs.store import overview
from jobs.store.overview import Overview
from producer.api.guard import needs
from producer.client import Client

# Many who scrape ask the database no more often than this.
_OLDEST = 5.0

router = APIRouter(tags=["metrics"])


@router.get("/metrics", include_in_schema=False)
def metrics(request: Request) -> Response:
    """In Prometheus' text format, for whoever may read.

    While the database is away nobody can be recognized: then it says that, and nothing else.
    """
    try:
        needs("read")(request)
    except DatabaseUnreachable:
        registry = CollectorRegistry()
        registry.register(_Away())
    else:
        registry = request.app.state.metrics
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


class Mill(Collector):
    """What SQL and Redis say, at most a few seconds old."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = Lock()
        self._found: list[Metric] = []
        self._good_until = 0.0

    def describe(self) -> list[Metric]:
        """Nothing is asked when it is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            if monotonic() >= self._good_until:
                self._found = [*_of_database(self._client), *_of_broker(self._client)]
                self._good_until = monotonic() + _OLDEST
            yield from self._found


class _Away(Collector):
    def collect(self) -> Iterator[Metric]:
        yield _up("database", up=False)


def _of_database(client: Client) -> Iterator[Metric]:
    try:
        with client.database.transaction() as tx:
            found = overview.look(tx, client.settings.timings.alive)
    except DatabaseUnreachable:
        yield _up("database", up=False)
        return
    yield _up("database", up=True)
    yield from _work(found)
    yield from _documents(found)
    yield from _alive(found)


def _of_broker(client: Client) -> Iterator[Metric]:
    try:
        waiting = client.broker.queue_length()
    except BrokerUnreachable:
        yield _up("broker", up=False)
        return
    yield _up("broker", up=True)
    yield Gauge("gistmill_queue_messages", "Messages in Redis that no worker has taken.", waiting)


def _up(what: str, *, up: bool) -> Metric:
    return Gauge(f"gistmill_{what}_up", f"Whether the {what} answers.", int(up))


def _work(found: Overview) -> Iterator[Metric]:
    jobs = Gauge("gistmill_jobs", "Jobs by status.", labels=["status"])
    for status, count in found.jobs.items():
        jobs.add_metric([status], count)
    yield jobs
    shards = Gauge("gistmill_shards", "Shards that are not over, by state.", labels=["state"])
    for each in found.shards:
        shards.add_metric([each.state], each.shards)
    yield shards
    backlog = found.backlog
    yield Gauge(
        "gistmill_waiting_shards",
        "Shards of jobs in progress that a worker could take now.",
        backlog.waiting,
    )
    yield Gauge(
        "gistmill_waiting_validations",
        "Jobs whose model nobody has looked at yet.",
        backlog.validating,
    )
    yield Gauge(
        "gistmill_leases", "Shards and validations that a worker has in hand.", backlog.running
    )
    yield Gauge(
        "gistmill_oldest_work_age_seconds",
        "Since the job that has waited or run longest could have begun; 0 where there is none.",
        backlog.oldest,
    )
    yield Gauge(
        "gistmill_last_progress_age_seconds",
        "Since a document was stored of the jobs that workers may go on with, or since the first "
        "of these could begin; 0 where there is none.",
        found.since_progress,
    )


def _documents(found: Overview) -> Iterator[Metric]:
    left = sum(each.documents for each in found.shards)
    yield Gauge("gistmill_documents_left", "Documents that are not over.", left)
    done = Gauge(
        "gistmill_unfinished_jobs_documents",
        "Of jobs that are not over, the documents that are; completed counts reused ones too.",
        labels=["model", "outcome"],
    )
    for each in found.done:
        done.add_metric([each.model, "completed"], each.completed)
        done.add_metric([each.model, "failed"], each.failed)
        done.add_metric([each.model, "reused"], each.reused)
    yield done


def _alive(found: Overview) -> Iterator[Metric]:
    alive = Gauge("gistmill_alive", "Workers and dispatchers that live.", labels=["role"])
    roles = Tally(each.presence.role for each in found.alive)
    for role in ("dispatcher", "worker"):
        alive.add_metric([role], roles[role])
    yield alive
    workers = Gauge(
        "gistmill_alive_workers",
        "Workers that live, by machine and device.",
        labels=["host", "device"],
    )
    places = Tally(
        (each.presence.host, each.presence.device or "")
        for each in found.alive
        if each.presence.role == "worker"
    )
    for place, count in sorted(places.items()):
        workers.add_metric([*place], count)
    yield workers

"""Puts the parts of the HTTP side together: `create` makes the application that `serve` runs."""

from importlib.metadata import version

from fastapi import FastAPI
from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics

from producer.api import events, files, health, jobs, metrics, problems, requests, results
from producer.api.access import AccessLog
from producer.api.limits import BoundedBodies
from producer.client import Client


def create(client: Client) -> FastAPI:
    """The application. The client stays the caller's, who closes it after the last request."""
    app = FastAPI(title="gistmill", version=version("gistmill"), docs_url=None, redoc_url=None)
    app.state.client = client
    app.state.stopping = events.Stopping()
    problems.install(app)
    app.add_middleware(BoundedBodies)
    disable_created_metrics()
    app.state.metrics = CollectorRegistry()
    app.state.metrics.register(metrics.Mill(client))
    ProcessCollector(registry=app.state.metrics)
    app.add_middleware(requests.Counted, registry=app.state.metrics)
    app.add_middleware(AccessLog)
    for each in (health, jobs, metrics, results, events, files):
        app.include_router(each.router)
    return app

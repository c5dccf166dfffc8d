"""Puts the parts of the HTTP side together: `create` makes the application that `serve` runs."""

from importlib.metadata import version

from fastapi import FastAPI
from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics

from producer.api import (
    batches,
    document,
    events,
    files,
    health,
    jobs,
    metrics,
    models,
    problems,
    reports,
    requests,
    results,
    submission,
    verbs,
    webhooks,
)
from producer.api.access import AccessLog
from producer.api.limits import BoundedBodies
from producer.api.sessions import Sessions
from producer.client import Client


def create(client: Client, *, page: bool = False) -> FastAPI:
    """The application. The client stays the caller's, who closes it after the last request.

    With `page` it has the page too: once a process, NiceGUI has no more than one application.
    """
    app = FastAPI(
        title="gistmill",
        version=version("gistmill"),
        # Their pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=document.name,
    )
    app.state.client = client
    app.state.sessions = Sessions(client.database)
    app.state.stopping = events.Stopping()
    problems.install(app)
    app.add_middleware(BoundedBodies)
    disable_created_metrics()
    app.state.metrics = CollectorRegistry()
    app.state.metrics.register(metrics.Mill(client))
    ProcessCollector(registry=app.state.metrics)
    app.add_middleware(requests.Counted, registry=app.state.metrics)
    app.add_middleware(AccessLog)
    for each in (
        health,
        metrics,
        jobs,
        verbs,
        submission,
        results,
        reports,
        events,
        files,
        webhooks,
        batches,
        models,
    ):
        app.include_router(each.router)
    document.install(app)
    if page:
        from producer.dashboard.mount import mount

        mount(app, client)
    return app

"""Puts the parts of the HTTP side together: `create` makes the application that `serve` runs."""

from importlib.metadata import version

from fastapi import FastAPI

from producer.api import (
    batches,
    events,
    files,
    health,
    jobs,
    models,
    problems,
    reports,
    results,
    submission,
    verbs,
    webhooks,
)
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
    app.add_middleware(AccessLog)
    for each in (
        health,
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
    return app

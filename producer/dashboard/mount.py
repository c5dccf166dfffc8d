"""Hangs the page into the application."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import nicegui
from fastapi import FastAPI
from nicegui import ui
from starlette.concurrency import run_in_threadpool
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.staticfiles import StaticFiles

from jobs.errors import GistmillError
from producer.client import Client
from producer.dashboard import job, jobs, login, plain, shell, submit
from producer.dashboard.elements import El
from producer.dashboard.gate import Gate
from producer.dashboard.visitors import Door, Visitor

_STATIC = Path(__file__).parent / "static"

# In which the server must have made a page, in seconds: the database may be busy.
_PATIENCE = 30.0

# For which a page is kept whose browser does not answer, in seconds.
_AWAY = 10.0


def mount(app: FastAPI, client: Client) -> None:
    """Once a process: NiceGUI has no more than one application. After all other routes."""
    door = Door(client, app.state.sessions)
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    app.include_router(login.router(door))
    _pages(door)
    ui.add_head_html(plain.HEAD, shared=True)
    ui.run_with(
        app,
        title="gistmill",
        favicon=_STATIC / "icon.svg",
        dark=None,
        language="en-US",
        tailwind=False,
        show_welcome_message=False,
        reconnect_timeout=_AWAY,
    )
    # What else there is of NiceGUI's is for proxies that we refuse, and tells of each browser that
    # goes away while it is answered as of a defect.
    compressed: object = GZipMiddleware
    nicegui.app.user_middleware[:] = [
        each for each in nicegui.app.user_middleware if each.cls is compressed
    ]
    # A mount at / would take every path, also what is wrong at the API: there a wrong method is
    # 405 and a wrong path a problem. So the page gets what is left over.
    app.router.routes.pop()
    app.router.default = Gate(door, nicegui.app, otherwise=app.router.not_found)


def _pages(door: Door) -> None:
    @ui.page("/", response_timeout=_PATIENCE)
    async def _jobs(request: Request) -> None:
        async def show(visitor: Visitor) -> None:
            await jobs.show(visitor, request.query_params)

        await _page(door, request, "Jobs", show)

    @ui.page("/submit", response_timeout=_PATIENCE)
    async def _submit(request: Request) -> None:
        await _page(door, request, "New job", submit.show)

    @ui.page("/jobs/{job_id}", response_timeout=_PATIENCE)
    async def _job(request: Request, job_id: str) -> None:
        async def show(visitor: Visitor) -> None:
            await job.show(visitor, job_id)

        await _page(door, request, job_id, show)


async def _page(
    door: Door, request: Request, title: str, show: Callable[[Visitor], Awaitable[None]]
) -> None:
    """What goes wrong in a way that we foresaw is said on the page."""
    visitor = await run_in_threadpool(door.visitor, request)
    with shell.frame(door, request, visitor, title):
        try:
            await show(visitor)
        except GistmillError as error:
            El("p", str(error), "error", role="alert")

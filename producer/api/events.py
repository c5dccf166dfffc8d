"""`/v1/jobs/{id}/events`: a job as it goes, as server-sent events.

A browser's EventSource, or whoever sends back the last id that it saw, goes on exactly where it
was. https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from time import monotonic
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from jobs.documents import storable
from jobs.errors import DatabaseUnreachable, NotFound, UsageError
from producer.api.guard import Reading
from producer.following import Following, Place, Step

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["events"])

_PLACE = re.compile(r"(\d{1,18})\.(\d{1,18})", re.ASCII)
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

_HEARTBEAT = 15.0
"""Seconds of silence that a proxy bears: many cut a connection after 60."""

_BEGIN = "retry: 2000\n\n"
"""Milliseconds until a browser that was cut off comes back."""


class Stopping:
    """Whether the server is being stopped: who sends for long looks at it."""

    def __init__(self) -> None:
        self.asked = False


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
        204: {"description": "The job is over, and all of it was seen."},
    },
)
def get_events(
    request: Request,
    client: Reading,
    job_id: str,
    after: Annotated[str | None, Query(max_length=40)] = None,
    last_event_id: Annotated[str | None, Header(max_length=40)] = None,
) -> Response:
    """A job as it goes: `status` for each state that it comes to, with `time` and `job`, and
    `progress`, the job alone, when more of it is done.

    It ends with the job. `after`, or the header Last-Event-ID, is the id of the last event that
    was seen.
    """
    job = client.job(job_id)
    following = Following(client, job.id, _place(last_event_id or after))
    steps = following.look()
    if not steps and following.over:
        return Response(status_code=204)
    poll = client.settings.timings.poll
    stream = _stream(following, steps, poll, request.app.state.stopping)
    return StreamingResponse(stream, media_type="text/event-stream", headers=_HEADERS)


async def _stream(
    following: Following, steps: Sequence[Step], poll: float, stopping: Stopping
) -> AsyncIterator[str]:
    """Until the job is over, the server is stopped, or the database is down: then whoever still
    wants more comes back."""
    yield _BEGIN
    said = monotonic()
    while not stopping.asked:
        for step in steps:
            yield step.as_text()
            said = monotonic()
        if following.over:
            return
        if monotonic() - said >= _HEARTBEAT:
            yield ": nothing new\n\n"
            said = monotonic()
        await asyncio.sleep(poll)
        try:
            steps = await run_in_threadpool(following.look)
        except (DatabaseUnreachable, NotFound):
            return


def _place(given: str | None) -> Place:
    """Raises UsageError."""
    if not given:
        return Place()
    found = _PLACE.fullmatch(given)
    if found is None:
        raise UsageError(
            f"event {storable(given)!r}: give the id of an event of this job, such as 12.0, or none"
        )
    return Place(int(found[1]), int(found[2]))

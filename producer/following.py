"""A job as it goes, in steps that can be taken up again: each state that it came to, none missed
and none twice, and how far it is whenever that changed."""

import json
from dataclasses import dataclass
from typing import Any

from jobs.states import JOB_OVER
from jobs.store import events, jobs, workers
from jobs.store.events import Event
from producer.client import Client
from producer.status import JobStatusView, view


@dataclass(frozen=True, slots=True)
class Place:
    """How far somebody has followed a job: the last state (an event's id; 0 before the first) and
    how many of its documents were over."""

    event: int = 0
    done: int = -1

    def __str__(self) -> str:
        return f"{self.event}.{self.done}"


@dataclass(frozen=True, slots=True)
class Step:
    """Something new of a job."""

    place: Place
    kind: str
    """`status` or `progress`."""
    data: dict[str, Any]

    def as_text(self) -> str:
        """https://html.spec.whatwg.org/multipage/server-sent-events.html"""
        data = json.dumps(self.data, ensure_ascii=False)
        return f"id: {self.place}\nevent: {self.kind}\ndata: {data}\n\n"


class Following:
    """Follows one job from a place on."""

    def __init__(self, client: Client, job_id: str, place: Place) -> None:
        self._client = client
        self._job_id = job_id
        self._place = place
        self.over = False
        """Whether nothing more comes, unless the job is retried."""

    def look(self) -> list[Step]:
        """What is new. Raises NotFound where the job was purged, DatabaseUnreachable."""
        client = self._client
        with client.database.transaction() as tx:
            # In this order: what is told of the job is never older than the states.
            came = events.after(tx, self._job_id, self._place.event)
            alive = workers.alive(tx, "worker", client.settings.timings.alive)
            record = jobs.get(tx, self._job_id)
            if not came and record.status in JOB_OVER:
                # It may have come to that since.
                came = events.after(tx, self._job_id, self._place.event)
        job = view(record, alive)
        done = job.counts.completed + job.counts.failed
        steps = [_status(event, done, job) for event in came]
        if not came and done != self._place.done:
            steps = [Step(Place(self._place.event, done), "progress", job.to_json())]
        if steps:
            self._place = steps[-1].place
        reached = came[-1].status if came else record.status
        self.over = record.status in JOB_OVER and record.status == reached
        return steps


def _status(event: Event, done: int, job: JobStatusView) -> Step:
    data = {
        "status": event.status.value,
        "time": int(event.created_at.timestamp()),
        "job": job.to_json(),
    }
    return Step(Place(event.id, done), "status", data)

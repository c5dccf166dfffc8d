"""A job's events over real HTTP: none missed, none twice, wherever the connection is cut."""

import json
from collections.abc import Generator, Iterator
from typing import Any

import httpx

from tests.mill import PATIENCE, Mill, closed_now, sentences
from tests.serving import Served, serving

Event = dict[str, Any]


def test_from_beginning_to_end(served: Served) -> None:
    with served.http() as http:
        job = _submitted(http)
        events = list(_events(http, job))
        assert _statuses(events) == ["validating", "in_progress", "finalizing", "completed"]
        last = events[-1]
        assert last["data"]["job"] == http.get(f"/v1/jobs/{job}").json()
        assert last["data"]["time"] >= last["data"]["job"]["created_at"]
        done = [_job(each)["counts"]["completed"] for each in events]
        assert done == sorted(done)
        progress = [each for each in events if each["event"] == "progress"]
        assert len({each["id"] for each in events}) == len(events)
        assert all(each["data"]["counts"]["completed"] for each in progress)


def test_resumed_after_each_event(served: Served) -> None:
    """A connection that is cut after each event: together they say what one says."""
    with served.http() as http:
        job = _submitted(http)
        seen: list[Event] = []
        headers: dict[str, str] = {}
        while True:
            answer = _events(http, job, headers=headers)
            event = next(answer, None)
            answer.close()
            if event is None:
                break
            seen.append(event)
            headers = {"Last-Event-ID": event["id"]}
        assert _statuses(seen) == ["validating", "in_progress", "finalizing", "completed"]
        assert len({each["id"] for each in seen}) == len(seen)
        over = http.get(f"/v1/jobs/{job}/events", headers=headers)
        assert over.status_code == 204, "EventSource stops"
        middle = next(each for each in seen if each["data"].get("status") == "in_progress")
        rest = list(_events(http, job, params={"after": middle["id"]}))
        assert _statuses(rest) == ["finalizing", "completed"]


def test_a_job_that_is_retried_goes_on(served: Served) -> None:
    with served.http() as http:
        job = _submitted(http, [{"text": "A text."}, {"text": " "}])
        last = list(_events(http, job))[-1]
        assert last["data"]["status"] == "completed"
        with served.mill.client() as client:
            client.job(job).retry()
        after = {"Last-Event-ID": last["id"]}
        again = _statuses(_events(http, job, headers=after))
        assert again[0] == "in_progress"
        assert again[-1] == "completed"


def test_what_is_no_event(served: Served) -> None:
    with served.http() as http:
        job = _submitted(http)
        for wrong in ("x", "1", "1.x", "-1.0", "1.0.0"):
            assert http.get(f"/v1/jobs/{job}/events", params={"after": wrong}).status_code == 400
        assert http.get("/v1/jobs/job_0/events").status_code == 404


def test_a_server_that_is_stopped_ends_its_streams(running: Mill) -> None:
    """And whoever comes back to another one goes on where it was."""
    with serving(running, name="first") as first, first.http() as http:
        job = _submitted(http, window=closed_now())
        answer = _events(http, job)
        seen = [next(answer)]
        running.started("first").terminate()
        seen.extend(answer)
        assert running.started("first").wait(PATIENCE) == 0
        assert "Traceback" not in running.log("first").read_text()
    with serving(running, name="second") as second, second.http() as http:
        with running.client() as client:
            client.job(job).cancel()
        seen.extend(_events(http, job, headers={"Last-Event-ID": seen[-1]["id"]}))
    statuses = _statuses(seen)
    assert statuses[0] == "validating"
    assert statuses[-2:] == ["cancelling", "cancelled"]
    assert len({each["id"] for each in seen}) == len(seen)


def _submitted(http: httpx.Client, documents: list[Any] | None = None, **more: Any) -> str:
    body = {"model": "lead-1", "documents": documents or sentences(20), "shard_size": 5, **more}
    answer = http.post("/v1/jobs", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def _events(http: httpx.Client, job: str, **given: Any) -> Generator[Event]:
    with http.stream("GET", f"/v1/jobs/{job}/events", **given) as answer:
        if answer.status_code == 204:
            return
        assert answer.status_code == 200, answer.read()
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        event: Event = {}
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if not line and "data" in event:
                yield event
                event = {}
            elif name in ("id", "event"):
                event[name] = value
            elif name == "data":
                event["data"] = json.loads(value)


def _statuses(events: Iterator[Event] | list[Event]) -> list[str]:
    return [each["data"]["status"] for each in events if each["event"] == "status"]


def _job(event: Event) -> dict[str, Any]:
    found: dict[str, Any] = event["data"].get("job", event["data"])
    return found

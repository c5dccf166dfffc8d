"""What a job leaves in the logs of those who do it: one JSON object a line, and each line about
a shard says which, of which job, and at which attempt."""

import io
import json
import logging
from pathlib import Path

from jobs import logs
from jobs.database import Database
from tests.conftest import TIMINGS
from tests.mill import Mill, eventually, sentences, wait
from worker.heartbeat import Heartbeat


def test_a_jobs_lines(running: Mill) -> None:
    with running.client() as client:
        job = client.submit(sentences(6), model="lead-1", shard_size=2)
        assert wait(job) == "completed"

    def over() -> list[object]:
        events = running.events("dispatcher")
        return [event["status"] for event in events if event["event"] == "job is over"]

    assert eventually(over, "the dispatcher says so") == ["completed"]
    events = running.events("worker")
    about = [event for event in events if event["logger"] == "gistmill.leases"]
    assert [(event["job"], event["attempt"]) for event in about] == [(job.id, 1)] * 3
    assert sorted(event["shard"] for event in about) == [0, 1, 2]
    [valid] = [event for event in events if event["logger"] == "gistmill.validation"]
    assert (valid["job"], valid["attempt"]) == (job.id, 1)
    assert len({event["worker"] for event in events}) == 1
    assert {event["device"] for event in events} == {"cpu"}
    assert all(event["dispatcher"] for event in running.events("dispatcher"))


def test_the_heartbeat_knows_what_it_holds(database: Database, tmp_path: Path) -> None:
    """Its lines are written by a thread of its own."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logs.formatter("json"))
    logger = logging.getLogger("gistmill.heartbeat")
    logger.addHandler(handler)
    heartbeat = Heartbeat(database, TIMINGS, tmp_path / "drain")
    try:
        with (
            logs.about(job="job_x", shard=3, attempt=2),
            heartbeat.holding(lambda _: False, lambda _: True),
        ):
            eventually(lambda: "\n" in out.getvalue(), "it says that the lease was lost")
    finally:
        logger.removeHandler(handler)
    event = json.loads(out.getvalue().splitlines()[0])
    assert event["event"].startswith("the lease was lost")
    assert (event["job"], event["shard"], event["attempt"]) == ("job_x", 3, 2)

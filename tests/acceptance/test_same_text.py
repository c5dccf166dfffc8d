"""The same text once, as its users see it."""

import json
from typing import Any

from tests.mill import Mill, sentences


def _submit(mill: Mill, *words: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The job, once it is over, and its rows."""
    lines = "\n".join([*sentences(12), *sentences(6)])
    command = ("submit", "-", "--lines", "--model", "lead-2", "--wait", "--json", *words)
    job_id = json.loads(mill.say(*command, stdin=lines).stdout)["id"]
    job = json.loads(mill.say("status", job_id, "--json").stdout)
    rows = mill.command("results", job_id).stdout.splitlines()
    return job, [json.loads(row) for row in rows]


def test_a_second_job_is_reused_unless_it_is_not_to_be(running: Mill) -> None:
    first, rows = _submit(running)
    assert first["counts"]["completed"] == 18
    assert first["counts"]["reused"] == 6, "those that are twice in it"
    tokens = sum(row["input_tokens"] for row in rows[:12])
    assert first["usage"]["input_tokens"] == tokens

    second, again = _submit(running)
    assert second["counts"]["reused"] == second["counts"]["completed"] == 18
    assert second["usage"] == {"input_tokens": 0, "output_tokens": 0}
    assert again == rows
    assert "18 of 18 documents done (18 reused)" in running.say("status", second["id"]).stdout

    apart, once_more = _submit(running, "--no-reuse")
    assert apart["counts"]["reused"] == 0
    assert apart["usage"]["input_tokens"] == sum(row["input_tokens"] for row in rows)
    assert once_more == rows
    with running.client() as client:
        job = client.submit(sentences(3), model="lead-2", reuse=False)
        assert job.wait(60).counts.reused == 0

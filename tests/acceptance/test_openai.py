"""The official `openai` package against `gistmill serve`: what its user does, unchanged."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI
from openai.types import Batch, FileObject
from openai.types.chat import ChatCompletion

from tests.mill import eventually, sentences
from tests.openai_files import lines, request
from tests.serving import Served

OVER = {"completed", "failed", "expired", "cancelled"}


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{served.url}/v1", api_key="whatever", max_retries=0) as made:
        yield made


def upload(client: OpenAI, content: bytes) -> FileObject:
    return client.files.create(file=("batch.jsonl", content), purpose="batch")


def create(client: OpenAI, content: bytes, window: str = "24h", **more: Any) -> Batch:
    return client.batches.create(
        input_file_id=upload(client, content).id,
        endpoint="/v1/chat/completions",
        completion_window=window,  # type: ignore[arg-type] # theirs knows one alone
        **more,
    )


def over(client: OpenAI, batch: Batch) -> Batch:
    def look() -> Batch | None:
        seen = client.batches.retrieve(batch.id)
        return seen if seen.status in OVER else None

    return eventually(look, f"{batch.id} is over")


def read(client: OpenAI, file_id: str | None) -> list[dict[str, Any]]:
    assert file_id
    return [json.loads(line) for line in client.files.content(file_id).text.splitlines()]


def test_a_batch_from_file_to_answers(client: OpenAI) -> None:
    given = [request(n, text) for n, text in enumerate(sentences(30))]
    batch = create(client, lines(given), metadata={"team": "press"})
    assert batch.status in ("validating", "in_progress", "finalizing", "completed")
    assert batch.model == "lead-1"
    done = over(client, batch)
    assert done.status == "completed"
    assert done.request_counts
    assert done.request_counts.model_dump() == {"total": 30, "completed": 30, "failed": 0}
    assert done.metadata == {"team": "press"}
    assert done.errors is None
    assert done.error_file_id is None
    answers = read(client, done.output_file_id)
    assert [each["custom_id"] for each in answers] == [each["custom_id"] for each in given]
    for number, answer in enumerate(answers):
        assert answer["error"] is None
        assert answer["response"]["status_code"] == 200
        completion = ChatCompletion.model_validate(answer["response"]["body"], strict=True)
        assert completion.choices[0].message.content == f"Document {number} begins."
        assert completion.choices[0].finish_reason == "stop"
        assert completion.usage
        assert completion.usage.total_tokens > completion.usage.completion_tokens > 0
    assert len({each["id"] for each in answers}) == 30

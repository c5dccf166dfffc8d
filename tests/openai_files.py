"""Batches as a user of the official `openai` package makes them."""

import json
from collections.abc import Iterable
from typing import Any

from openai import OpenAI
from openai.types import Batch, FileObject

from tests.mill import eventually

_OVER = {"completed", "failed", "expired", "cancelled"}


def request(number: int, text: str, **body: Any) -> dict[str, Any]:
    """A line of a batch's file. `body` replaces or adds fields of the body."""
    return {
        "custom_id": f"request-{number}",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "lead-1", "messages": [{"role": "user", "content": text}], **body},
    }


def lines(requests: Iterable[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(each) + "\n" for each in requests).encode()


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
    """It, once it is over."""

    def look() -> Batch | None:
        seen = client.batches.retrieve(batch.id)
        return seen if seen.status in _OVER else None

    return eventually(look, f"{batch.id} is over")


def read(client: OpenAI, file_id: str | None) -> list[dict[str, Any]]:
    """The lines of a file."""
    assert file_id
    return [json.loads(line) for line in client.files.content(file_id).text.splitlines()]


def counts(batch: Batch) -> tuple[int, int, int]:
    """Total, completed and failed requests."""
    found = batch.request_counts
    assert found
    return found.total, found.completed, found.failed

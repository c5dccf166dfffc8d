"""Files of OpenAI batches, as a user writes them."""

import json
from collections.abc import Iterable
from typing import Any


def request(number: int, text: str, **body: Any) -> dict[str, Any]:
    """A line of such a file. `body` replaces or adds fields of the body."""
    return {
        "custom_id": f"request-{number}",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "lead-1", "messages": [{"role": "user", "content": text}], **body},
    }


def lines(requests: Iterable[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(each) + "\n" for each in requests).encode()

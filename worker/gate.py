"""What a worker takes off the queue: messages as our own producer sends them, and no others.

Whoever can write to Redis can put anything there. Celery 5.7 tells of some of it with its
whole content, and ends where a message has no id or a body that is no list. Here each costs
one line and is dropped: what is to be done stands in SQL. Knows nothing of jobs and shards.
"""

import json
from collections.abc import Callable
from typing import Any

from jobs import messages
from jobs.errors import UsageError

_DECODERS: dict[str, Callable[[dict[str, Any]], object]] = {
    messages.VALIDATE: messages.decode_validate,
    messages.SUMMARIZE: messages.decode_summarize,
}
# Headers by which a message could delay, kill or disguise the task that it starts.
_UNSET = {
    "eta": None,
    "expires": None,
    "group": None,
    "retries": 0,
    "shadow": None,
    "stamped_headers": None,
    "timelimit": [None, None],
}


def refusal(message: Any) -> str | None:
    """Why a message is none of ours; None where it is one. Unpickles nothing."""
    headers = message.headers
    if not isinstance(headers, dict) or not isinstance(headers.get("id"), str):
        return "it has no id"
    decode = _DECODERS.get(str(headers.get("task")))
    if decode is None:
        return f"this version does not know its task {headers.get('task')!r:.80}"
    if any(headers.get(name, unset) != unset for name, unset in _UNSET.items()):
        return "its headers ask for more than a task"
    form = message.content_type, message.content_encoding
    if form != ("application/json", "utf-8"):
        return f"its body is {form!r:.80}, not JSON in UTF-8"
    return _refusal_of_body(message.body, decode)


def _refusal_of_body(body: bytes | str, decode: Callable[[dict[str, Any]], object]) -> str | None:
    try:
        match json.loads(body):
            case [[], {} as keywords, {} as embedded] if not any(embedded.values()):
                decode(keywords)
            case _:
                return "its body is not that of a task of ours"
    except (ValueError, TypeError, RecursionError):
        return "its body is not JSON"
    except UsageError as error:
        return str(error)
    return None

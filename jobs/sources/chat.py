"""Lines of an OpenAI batch: a request a line, whose document is the last message of its user.

    {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions",
     "body": {"model": "lead-3", "messages": [{"role": "user", "content": "A text."}]}}

Cut as JSON lines are. Of a request only the document and its id are read here; what else it asks
for was looked at when the batch was made (`producer.batches`), and is its job's.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jobs.columns import Schema
from jobs.documents import Record
from jobs.sources import jsonl
from jobs.sources.jsonl import plan as plan
from jobs.sources.opened import Described, Opened

KIND = "chat"
# No name tells it: such files are JSON lines too.
ENDINGS: tuple[str, ...] = ()

ID, TEXT = "custom_id", "text"
"""The columns that its records have."""


def describe(opened: Opened) -> Described:  # noqa: ARG001 - all of them have the same
    return Described(Schema({ID: "string", TEXT: "string"}))


def read(
    opened: Opened, position: dict[str, Any], documents: int, columns: Sequence[str] | None
) -> list[Record]:
    """Raises JobError where the file does not hold so many there."""
    return [_record(each) for each in jsonl.read(opened, position, documents, columns)]


def text_of(messages: object) -> str | None:
    """The last message of the user; None where there is none, or it is no text."""
    if isinstance(messages, list):
        for message in reversed(messages):
            if isinstance(message, dict) and message.get("role") == "user":
                return content_of(message)
    return None


def content_of(message: Mapping[str, Any]) -> str | None:
    """A message's text, the parts of it a line each; None where it holds anything else."""
    content = message.get("content")
    if not isinstance(content, list):
        return content if isinstance(content, str) else None
    texts = [part.get("text") for part in content if _is_text(part)]
    return "\n".join(texts) if len(texts) == len(content) else None


def _is_text(part: object) -> bool:
    return (
        isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
    )


def _record(line: Record) -> Record:
    if line.error is not None:
        return line
    body = line.value.get("body")
    text = text_of(body.get("messages")) if isinstance(body, dict) else None
    identifier = line.value.get(ID)
    if text is None:
        said = "body.messages has no text of a user"
        return Record(line.where, {ID: identifier}, error=("missing_text", said))
    return Record(line.where, {ID: identifier, TEXT: text})

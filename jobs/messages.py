"""What travels through Redis: a task's name, a version and one id. Never text, never pickles."""

import re
from collections.abc import Mapping
from typing import Any

from jobs.errors import UsageError

QUEUE = "gistmill"
VALIDATE = "gistmill.validate"
SUMMARIZE = "gistmill.summarize"
VERSION = 1

_LARGEST = 2**63 - 1
_JOB_ID = re.compile(r"job_[a-z2-7]{12}")


def encode(identifier: str | int) -> dict[str, Any]:
    return {"v": VERSION, "id": identifier}


def decode_validate(body: Mapping[str, Any]) -> str:
    """The job's id. Raises UsageError for a body that this version does not know."""
    identifier = _identifier(body)
    if not isinstance(identifier, str) or not _JOB_ID.fullmatch(identifier):
        raise UsageError(f"message {VALIDATE}: id is not a job's: {identifier!r:.80}")
    return identifier


def decode_summarize(body: Mapping[str, Any]) -> int:
    """The shard's id. Raises UsageError for a body that this version does not know."""
    identifier = _identifier(body)
    # bool is an int to Python, but no shard has the id True; SQL has no number that is larger.
    if type(identifier) is not int or not 0 < identifier <= _LARGEST:
        raise UsageError(f"message {SUMMARIZE}: id is not a shard's: {identifier!r:.80}")
    return identifier


def _identifier(body: Mapping[str, Any]) -> Any:
    if body.get("v") != VERSION or set(body) != {"v", "id"}:
        raise UsageError(f"message is not of version {VERSION}: {dict(body)!r:.80}")
    return body["id"]

"""The lines of a batch's output and error files, made from SQL each time that they are asked for.

In the order of the input file. The same job gives the same bytes: ids come from where a line
stands, times from its row. Memory stays flat, and no transaction stays open.
"""

import heapq
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from jobs.database import Database
from jobs.sources import Sources
from jobs.states import JobStatus
from jobs.store import batches, summaries
from jobs.store.batches import Outcome
from jobs.store.jobs import JobRecord
from producer import reading
from producer.batches.views import OUTPUT, unix, why_it_ended

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Why:
    """Why a request has no answer."""

    code: str
    message: str


_WHY_CUT_OFF = {
    JobStatus.EXPIRED: Why(
        "batch_expired",
        "This request could not be executed before the completion window expired.",
    ),
    JobStatus.CANCELLED: Why(
        "batch_cancelled", "This request was not executed before the batch was cancelled."
    ),
}
"""By how its job ended."""


@dataclass(frozen=True, slots=True)
class Lines:
    """What makes the files of one batch, whose job is over."""

    database: Database
    sources: Sources
    batch_id: str
    job: JobRecord

    def of(self, which: str) -> Iterator[bytes]:
        """Raises what `reading.reading` does where the input file can not be read any more."""
        if which == OUTPUT:
            for done in self._outcomes(failed=False):
                yield self._answered(done)
            return
        failed = ((each.index, self._failed(each)) for each in self._outcomes(failed=True))
        for _, line in heapq.merge(failed, self._cut_off(), key=lambda pair: pair[0]):
            yield line

    def _outcomes(self, *, failed: bool) -> Iterator[Outcome]:
        def page(after: int) -> list[Outcome]:
            with self.database.transaction() as tx:
                return batches.outcomes(tx, self.job.id, after, _PAGE, failed=failed)

        return _paged(page, lambda last: last.index, first=-1)

    def _cut_off(self) -> Iterator[tuple[int, bytes]]:
        """Of the requests that were not done, in order."""

        def page(after: int) -> list[Any]:
            with self.database.transaction() as tx:
                return list(batches.cut_off(tx, self.job.id, after, _PAGE))

        for extent in _paged(page, lambda last: last.stop, first=0):
            with self.database.transaction() as tx:
                done = summaries.done(tx, self.job.id, extent.start, extent.stop)
            with reading.reading("the requests that were not done are told by it"):
                documents = self.sources.read(extent)
            for each in documents:
                if each.index not in done:
                    yield each.index, self._line(each.index, each.id, None, self._why_cut_off())

    def _why_cut_off(self) -> Why:
        if known := _WHY_CUT_OFF.get(self.job.status):
            return known
        return Why(**(why_it_ended(self.job) or {}))

    # --- lines

    def _answered(self, done: Outcome) -> bytes:
        response = {
            "status_code": 200,
            "request_id": self._made_up("req", done.index),
            "body": self._completion(done),
        }
        return self._line(done.index, done.id, response, None)

    def _failed(self, failed: Outcome) -> bytes:
        why = Why(failed.error_code or "", failed.error_message or "")
        return self._line(failed.index, failed.id, None, why)

    def _line(
        self,
        index: int,
        custom_id: str | None,
        response: dict[str, Any] | None,
        error: Why | None,
    ) -> bytes:
        line = {
            "id": self._made_up("batch_req", index),
            "custom_id": custom_id,
            "response": response,
            "error": error and {"code": error.code, "message": error.message},
        }
        return json.dumps(line, ensure_ascii=False).encode() + b"\n"

    def _completion(self, done: Outcome) -> dict[str, Any]:
        message: dict[str, Any] = {
            "role": "assistant",
            "content": done.summary,
            "refusal": None,
            "annotations": [],
        }
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": done.finish_reason or "stop",
        }
        return {
            "id": self._made_up("chatcmpl", done.index),
            "object": "chat.completion",
            "created": unix(done.created_at),
            "model": self.job.model,
            "choices": [choice],
            "usage": _usage(done),
            "service_tier": "default",
            "system_fingerprint": self._fingerprint(),
            "metadata": None,
            "moderation": None,
        }

    def _made_up(self, kind: str, index: int) -> str:
        between = "-" if kind == "chatcmpl" else "_"
        return f"{kind}{between}{_digest(self.batch_id, kind, index)[:24]}"

    def _fingerprint(self) -> str:
        """Changes with all that could change a summary besides what was asked."""
        job = self.job
        return f"fp_{_digest(job.model_revision, job.engine, job.dtype)[:10]}"


def _usage(done: Outcome) -> dict[str, Any]:
    written = dict.fromkeys(
        ("accepted_prediction_tokens", "audio_tokens", "reasoning_tokens"), 0
    ) | {"rejected_prediction_tokens": 0}
    return {
        "prompt_tokens": done.input_tokens,
        "completion_tokens": done.output_tokens,
        "total_tokens": done.input_tokens + done.output_tokens,
        "prompt_tokens_details": {"audio_tokens": 0, "cached_tokens": 0},
        "completion_tokens_details": written,
    }


def _paged(
    page: Callable[[int], list[Any]], place: Callable[[Any], int], first: int
) -> Iterator[Any]:
    after = first
    while several := page(after):
        yield from several
        after = place(several[-1])


def _digest(*parts: object) -> str:
    return sha256(repr(parts).encode()).hexdigest()

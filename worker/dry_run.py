"""What a dry run finds: how the documents of a job would be done, and a look into some of them.

Reads a sample of the source and tokenizes it as the job would; loads no weights.
"""

from collections import Counter
from collections.abc import Sequence
from statistics import fmean, median
from typing import Any

from jobs.database import Database
from jobs.documents import Document
from jobs.job import Validation
from jobs.parameters import Effective, Parameters
from jobs.sources import Sources
from jobs.store import queueing
from worker import long_documents, models
from worker.models import Resolved

# Shards of the sample, spread evenly over the job, and documents of each.
_SHARDS = 8
_DOCUMENTS = 256
_BUCKETS = 10


def report(
    database: Database,
    validation: Validation,
    resolved: Resolved,
    effective: Effective,
    sources: Sources,
) -> dict[str, Any]:
    """As JSON: `shards`, `parameters` with their `value` and where each is `from`, `prompt`
    (the finished one of the first document that can be used) and `sample`.

    Raises JobError where the source may not or can not be read.
    """
    with database.transaction() as tx:
        count, chosen = queueing.sample(tx, validation.job_id, _SHARDS)
    documents = [document for extent in chosen for document in sources.read(extent)[:_DOCUMENTS]]
    texts = [document.text for document in documents if document.text is not None]
    requested = validation.requested
    origins = models.origins(
        resolved, Parameters(**requested["parameters"]), requested["prompt"], effective
    )
    settled = {
        "prompt": effective.prompt,
        "max_input_tokens": effective.max_input_tokens,
        "long_documents": effective.long_documents,
        "seed": effective.seed,
        **effective.generation,
    }
    return {
        "shards": count,
        "parameters": {n: {"value": v, "from": origins[n]} for n, v in settled.items()},
        "prompt": models.finished_prompt(resolved, texts[0], effective) if texts else None,
        "sample": _sample(documents, texts, resolved, effective),
    }


def _sample(
    documents: Sequence[Document], texts: Sequence[str], resolved: Resolved, effective: Effective
) -> dict[str, Any]:
    lengths = models.lengths(resolved, texts, effective)
    limit = effective.max_input_tokens
    [frame] = models.lengths(resolved, [""], effective)
    long = [length for length in lengths if limit is not None and length > limit]
    bad = Counter(document.error.code for document in documents if document.error is not None)
    return {
        "documents": len(documents),
        "bad": dict(bad.most_common()),
        "duplicates": len(texts) - len(set(texts)),
        "too_long": len(long),
        # Into which they are cut, about.
        "parts": sum(long_documents.count(length, limit or 0, frame) for length in long),
        "input_tokens": _summary(lengths),
        "histogram": histogram(lengths),
    }


def _summary(lengths: Sequence[int]) -> dict[str, float] | None:
    if not lengths:
        return None
    mean = round(fmean(lengths), 1)
    return {"min": min(lengths), "median": median(lengths), "mean": mean, "max": max(lengths)}


def histogram(lengths: Sequence[int]) -> list[dict[str, int]]:
    """How many of `lengths` lie in each of at most ten ranges of a round width: `from`, `to`
    (not included) and `documents`."""
    if not lengths:
        return []
    width = _round_up(max(1, (max(lengths) + 1) // _BUCKETS))
    counts = Counter(length // width for length in lengths)
    return [
        {"from": place * width, "to": (place + 1) * width, "documents": counts[place]}
        for place in range(max(counts) + 1)
    ]


def _round_up(number: int) -> int:
    """The next of 1, 2, 5, 10, 20, 50, ..."""
    power = 1
    while True:
        for step in (1, 2, 5):
            if number <= step * power:
                return step * power
        power *= 10

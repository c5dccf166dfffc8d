"""What a dry run finds: how the documents of a job would be done, and what a sample is like.

Loads no weights. How long it would take is the forecast's (worker/forecasting.py).
"""

from collections import Counter
from collections.abc import Sequence
from statistics import fmean, median
from typing import Any

from jobs.job import Validation
from jobs.parameters import Effective, Parameters
from worker import long_documents, models
from worker.models import Resolved
from worker.samples import Sampled

_BUCKETS = 10
# Characters of the first document that are shown. The report goes into SQL, where no text belongs
# that lies elsewhere; that prompt and template are seen around it takes no more than a beginning.
_SHOWN = 1200


def report(
    validation: Validation, resolved: Resolved, effective: Effective, sampled: Sampled
) -> dict[str, Any]:
    """As JSON: `shards`, `parameters` with their `value` and where each is `from`, `prompt`
    (the finished one of the first document that can be used, of which the beginning is there)
    and `sample`."""
    texts = sampled.texts
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
        "shards": sampled.shards,
        "parameters": {n: {"value": v, "from": origins[n]} for n, v in settled.items()},
        "prompt": models.finished_prompt(resolved, _begun(texts[0]), effective) if texts else None,
        "sample": _sample(sampled, resolved, effective),
    }


def _begun(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."


def _sample(sampled: Sampled, resolved: Resolved, effective: Effective) -> dict[str, Any]:
    texts, lengths = sampled.texts, sampled.lengths
    limit = effective.max_input_tokens
    [frame] = models.lengths(resolved, [""], effective)
    long = [length for length in lengths if limit is not None and length > limit]
    bad = Counter(each.error.code for each in sampled.documents if each.error is not None)
    return {
        "documents": len(sampled.documents),
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

"""What is measured: a model, its documents as token ids, and how it is to generate.

Random weights take random tokens, 350 of them in the mean, log-normal; the models that were
trained take texts, with the summaries people wrote of them as references.
"""

import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.engines import shapes
from jobs.parameters import Parameters
from worker import model_files, models, prompts

SHARED = Path("../shared")
_MEAN = 350
_SIGMA = 0.6
_SHORTEST, _LONGEST = 20, 1000
_FIXED_NEW = 48
_FIXED = {
    "num_beams": 4,
    "min_new_tokens": _FIXED_NEW,
    "max_new_tokens": _FIXED_NEW,
    "early_stopping": True,
}
_DRAWN = {
    **_FIXED,
    "min_new_tokens": 10,
    "max_new_tokens": 64,
    "no_repeat_ngram_size": 3,
}
# How loud the end token has to be for summaries of 10 to 64 tokens, found by trying.
_LOUD = {"bart-62m": 3.0, "t5-small": 16.0, "distilbart-12-6": 3.0}


@dataclass(frozen=True)
class Case:
    name: str
    model: str
    """A folder, or the name of a model as a job names it."""
    documents: list[list[int]]
    generation: dict[str, Any]
    references: list[list[str]] = field(default_factory=list)
    """Per document; empty where nobody wrote any."""


@dataclass(frozen=True)
class Places:
    """Where models and data lie."""

    made: Path
    """Ours: what is made once and kept."""
    shared: Path
    """Others': a trained model and real documents, where they are at hand."""


Make = Callable[[Places, int], Case]


class NotHere(Exception):
    """The case needs files that are not on this machine."""


@dataclass(frozen=True)
class Kind:
    name: str
    documents: int
    quick: int
    """Documents under --quick; none where it is left out."""
    make: Make
    both_splits: bool = True
    """Ours in both splits: twice the processes, for which large models leave no memory."""
    others: tuple[str, ...] = ()
    """Contestants that only this case has."""


def random_weights(shape: str, drawn: bool) -> Make:
    def make(places: Places, count: int) -> Case:
        known = shapes.SHAPES[shape]
        loud = _LOUD[shape] if drawn else 1.0
        folder = shapes.folder_of(known, loud, places.made)
        end = len(known.marks) - 2
        documents = _random_documents(count, end, words_from=len(known.marks))
        name = f"{shape}, {'drawn' if drawn else 'fixed'} lengths"
        return Case(name, str(folder), documents, _DRAWN if drawn else _FIXED)

    return make


def scitldr(places: Places, count: int) -> Case:
    """The trained BART on abstracts, with the parameters that its files name."""
    folder = places.shared / "models" / "scitldr-bart-tiny"
    file = places.shared / "data" / "scitldr-dev.jsonl"
    for needed in (folder, file):
        if not needed.exists():
            raise NotHere(f"there is no {needed}; name its folder with --shared")
    rows = [json.loads(line) for line in file.read_text().splitlines()[:count]]
    texts = [row["text"] for row in rows]
    references = [row["summaries"] for row in rows]
    return _of_texts("scitldr-bart-tiny", str(folder), texts, references, places)


def smollm2(places: Places, count: int) -> Case:
    """The packaged chat model on the prose of packages, with their one-line summaries as
    references; 48 new tokens, greedily."""
    from producer.demo_documents import documents

    found = documents()
    step = max(1, len(found) // count)
    rows = found[::step][:count]
    texts = [row["text"] for row in rows]
    lengths = {"min_length": _FIXED_NEW, "max_length": _FIXED_NEW}
    references = [[row["reference"]] for row in rows]
    return _of_texts("smollm2-135m", "smollm2-135m", texts, references, places, **lengths)


KINDS = (
    Kind("bart-62m", 64, 6, random_weights("bart-62m", drawn=False)),
    Kind("bart-62m-drawn", 32, 0, random_weights("bart-62m", drawn=True)),
    Kind("t5-small", 24, 0, random_weights("t5-small", drawn=False)),
    Kind("t5-small-drawn", 24, 0, random_weights("t5-small", drawn=True)),
    Kind("distilbart-12-6", 8, 0, random_weights("distilbart-12-6", drawn=False), False),
    Kind(
        "distilbart-12-6-drawn",
        8,
        0,
        random_weights("distilbart-12-6", drawn=True),
        both_splits=False,
    ),
    Kind("scitldr-bart-tiny", 96, 24, scitldr),
    Kind("smollm2-135m", 24, 0, smollm2, others=("continuous:float32", "continuous:bfloat16")),
)


def _of_texts(
    name: str,
    model: str,
    texts: Sequence[str],
    references: list[list[str]],
    places: Places,
    **asked: int,
) -> Case:
    resolved = models.resolve(model, places.made)
    effective = models.settle(resolved, Parameters(**asked), None)
    assert resolved.folder is not None
    tokenizer = model_files.read_tokenizer(resolved.folder, name)
    encoded = prompts.encode(tokenizer, resolved.kind, texts, effective)
    return Case(name, model, [each.ids for each in encoded], effective.generation, references)


def _random_documents(count: int, end: int, words_from: int) -> list[list[int]]:
    """As a tokenizer would give them, the end token last."""
    chance = random.Random(3)
    mu = math.log(_MEAN) - _SIGMA**2 / 2
    lengths = [round(chance.lognormvariate(mu, _SIGMA)) for _ in range(count)]
    bounded = [min(max(length, _SHORTEST), _LONGEST) for length in lengths]
    return [[*(chance.randrange(words_from, 30000) for _ in range(n - 1)), end] for n in bounded]

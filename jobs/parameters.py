"""What a user may ask of a summary: which model, and how it generates.

Only the shape is checked here; what a model can do with it is found out by a
worker, which has the model, while the job is `validating`.
"""

import json
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
)

from jobs import generation_fields
from jobs.errors import UsageError

Engine = Literal["auto", "native", "transformers", "lead"]
Dtype = Literal["auto", "float32", "bfloat16", "float16", "int8"]
LongDocuments = Literal["truncate", "map-reduce", "fail"]
"""What becomes of a document that is longer than `max_input_tokens`: its beginning is summarized,
or its parts and then their summaries, or it fails."""


class Parameters(BaseModel):
    """Generation parameters as asked for; what is None is left to the model's own files.

    Names are those of `transformers.GenerationConfig`. `max_input_tokens` is what
    the model reads at most, and `long_documents` what becomes of longer documents;
    `seed` and a document's index decide its sample. For decoder-only models `min_length`
    and `max_length` count new tokens.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_input_tokens: PositiveInt | None = None
    long_documents: LongDocuments = "truncate"
    num_beams: PositiveInt | None = None
    min_length: NonNegativeInt | None = None
    max_length: PositiveInt | None = None
    max_new_tokens: PositiveInt | None = None
    length_penalty: FiniteFloat | None = None
    no_repeat_ngram_size: NonNegativeInt | None = None
    seed: NonNegativeInt = 0
    generate: dict[str, Any] = Field(default_factory=dict)
    """Any other GenerationConfig field."""

    def generation_fields(self) -> dict[str, Any]:
        """The GenerationConfig fields that were asked for, by name."""
        own = (
            *("num_beams", "min_length", "max_length", "max_new_tokens"),
            *("length_penalty", "no_repeat_ngram_size"),
        )
        named = {name: getattr(self, name) for name in own}
        return {**self.generate, **{k: v for k, v in named.items() if v is not None}}


def parse(values: Mapping[str, Any]) -> Parameters:
    """Raises UsageError that names the first value that can not be used."""
    try:
        parameters = Parameters(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{name}: {first['msg']} (got {first['input']!r})") from None
    _refuse_what_json_lacks(parameters)
    _refuse_contradictions(parameters)
    generation_fields.checked(parameters.generation_fields())
    return parameters


def parse_pairs(pairs: Iterable[str]) -> dict[str, Any]:
    """`key=value` words, each value read as JSON where it is JSON and as a string where not."""
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.isidentifier():
            raise UsageError(f"--generate {pair!r}: write it as key=value, as in top_k=40")
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
    return found


def _refuse_what_json_lacks(parameters: Parameters) -> None:
    """NaN and infinity, and what only Python has: neither SQL nor a worker could read them."""
    for name, value in parameters.generate.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            raise UsageError(f"{name}: {value!r} is no finite number, text or list") from None


def refuse_for_lead(model: str, parameters: Parameters, prompt: str | None) -> None:
    """Raises UsageError for what a `lead-N` model, which generates nothing, has no use for."""
    for name in parameters.generation_fields():
        raise UsageError(f"{name}: {model} generates nothing; leave it out")
    if prompt is not None:
        raise UsageError(f"prompt: {model} reads no prompt; leave it out")


def _refuse_contradictions(parameters: Parameters) -> None:
    twice = set(parameters.generate) & set(Parameters.model_fields)
    if twice:
        name = min(twice)
        raise UsageError(f"{name}: has an argument of its own; leave it out of `generate`")
    low, high = parameters.min_length, parameters.max_length
    if low is not None and high is not None and low > high:
        raise UsageError(f"min_length {low} is above max_length {high}; no summary can be both")


class Effective(BaseModel):
    """Parameters as they were settled for one job against its model; stored with the job.

    Every summary of the job is made with exactly these, on whichever worker.
    """

    model_config = ConfigDict(frozen=True)

    prompt: str | None = None
    """Holds `{text}` where the document goes; None where the document is taken as it is."""
    max_input_tokens: PositiveInt | None = None
    """Input tokens at most, prompt included; None where the model sets no bound."""
    long_documents: LongDocuments = "truncate"
    seed: NonNegativeInt = 0
    generation: dict[str, Any] = Field(default_factory=dict)
    """GenerationConfig fields by name."""

    def flat(self) -> dict[str, Any]:
        """As users see them: one object, the prompt left out."""
        own = {
            "max_input_tokens": self.max_input_tokens,
            "long_documents": self.long_documents,
            "seed": self.seed,
        }
        return {**own, **self.generation}

    def seed_of(self, index: int, *part: int) -> int:
        """A document's own seed, or that of a part of it, so that a sample does not depend on its
        batch."""
        words = ":".join(str(number) for number in (self.seed, index, *part))
        digest = blake2b(words.encode(), digest_size=7).digest()
        return int.from_bytes(digest, "big")

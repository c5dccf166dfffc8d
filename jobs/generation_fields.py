"""The GenerationConfig fields that a job may set: a closed list, known without any model.

They are those that change what one row says, and none that change how many rows come
back, in which shape, or how long a batch may take. How they meet a model's own is
`worker.generation`.
"""

import difflib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError

from jobs.errors import UsageError

_Share = Annotated[float, Field(ge=0, le=1)]
_Factor = Annotated[float, Field(gt=0)]
_Ids = list[NonNegativeInt]
_SomeIds = Annotated[_Ids, Field(min_length=1)]


class Fields(BaseModel):
    """Names and meanings are `transformers.GenerationConfig`'s; bounds are those that its
    logits processors would raise for, hours later."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    num_beams: PositiveInt | None = None
    do_sample: bool | None = None
    early_stopping: bool | Literal["never"] | None = None
    min_length: NonNegativeInt | None = None
    max_length: PositiveInt | None = None
    min_new_tokens: NonNegativeInt | None = None
    max_new_tokens: PositiveInt | None = None
    temperature: _Factor | None = None
    top_k: NonNegativeInt | None = None
    top_p: _Share | None = None
    min_p: _Share | None = None
    top_h: _Share | None = None
    typical_p: _Share | None = None
    epsilon_cutoff: _Share | None = None
    eta_cutoff: _Share | None = None
    repetition_penalty: _Factor | None = None
    encoder_repetition_penalty: _Factor | None = None
    length_penalty: float | None = None
    no_repeat_ngram_size: NonNegativeInt | None = None
    encoder_no_repeat_ngram_size: NonNegativeInt | None = None
    exponential_decay_length_penalty: list[float] | None = Field(None, min_length=2, max_length=2)
    renormalize_logits: bool | None = None
    remove_invalid_values: bool | None = None
    bad_words_ids: Annotated[list[_SomeIds], Field(min_length=1)] | None = None
    suppress_tokens: _Ids | None = None
    begin_suppress_tokens: _Ids | None = None
    forced_bos_token_id: NonNegativeInt | None = None
    forced_eos_token_id: NonNegativeInt | _SomeIds | None = None
    bos_token_id: NonNegativeInt | None = None
    eos_token_id: NonNegativeInt | _Ids | None = None
    decoder_start_token_id: NonNegativeInt | None = None


def checked(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields as they are used: numbers as floats where floats are wanted, no None.

    Raises UsageError for one that is not in the list, or whose value has another type.
    """
    for name in fields:
        if name not in Fields.model_fields:
            raise UsageError(_unknown(name))
    try:
        read = Fields(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{first['loc'][0]}: {first['msg']} (got {first['input']!r})") from None
    # The library refuses 2 where it wants 2.0: what was checked is what is used.
    return read.model_dump(exclude_none=True)


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, Fields.model_fields, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{name}: not a generation parameter that a job can set{hint}"

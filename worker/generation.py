"""How the GenerationConfig fields that a job sets meet the model's own.

Which fields a job may set is `jobs.generation_fields`. This reads JSON and dicts only;
no model, no tokenizer, no torch.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from jobs import generation_fields
from jobs.errors import JobError, UsageError
from jobs.generation_fields import Fields

Origin = Literal["you", "model", "gistmill"]
"""Who decided a parameter: the user, the model's own files, or gistmill's defaults."""

Kind = Literal["lead", "encoder-decoder", "decoder-only"]

CHAT_NEW_TOKENS = 128
"""New tokens of a decoder-only model when neither its files nor the user say."""
LIBRARY_NEW_TOKENS = 20
"""New tokens of an encoder-decoder model then: what `generate` itself falls back on."""

_SAMPLING = frozenset(
    ["temperature", "top_k", "top_p", "min_p", "top_h", "typical_p", "epsilon_cutoff", "eta_cutoff"]
)
_BEAMS = frozenset({"early_stopping", "length_penalty"})
_SPECIAL = frozenset({"bos_token_id", "eos_token_id", "decoder_start_token_id"})


def own(folder: Path, kind: Kind) -> tuple[dict[str, Any], str | None]:
    """What the model's files say of generating: fields, and the prompt its tasks name.

    transformers 5 ignores `task_specific_params`; the published scores of T5 and of
    BART's descendants were made with them. Special tokens stay with the model.
    """
    config = _read(folder / "config.json")
    path = folder / "generation_config.json"
    # Models saved before 4.25 keep the fields in config.json.
    fields = _read(path) if path.exists() else config
    if kind == "decoder-only":
        # These count the prompt too: a context length, not a wish for a summary.
        return _known(fields, without=_SPECIAL | {"min_length", "max_length"}), None
    task = _section(_section(config, "task_specific_params"), "summarization")
    prefix = task.get("prefix")
    return _known({**fields, **task}, without=_SPECIAL), f"{prefix}{{text}}" if prefix else None


def merge(kind: Kind, own: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """The model's own fields under those that were asked for.

    Raises JobError("bad_parameters") that names the field.
    """
    asked = _asked_lengths(kind, _checked(asked))
    fields = _checked({**_inherited(own, asked), **asked})
    if not fields.keys() & {"max_length", "max_new_tokens"}:
        chat = kind == "decoder-only"
        fields["max_new_tokens"] = CHAT_NEW_TOKENS if chat else LIBRARY_NEW_TOKENS
    _settle_least(fields, asked)
    _refuse_contradictions(fields)
    return fields


def origins(
    kind: Kind, own: Mapping[str, Any], asked: Mapping[str, Any], fields: Mapping[str, Any]
) -> dict[str, Origin]:
    """Where each of `fields`, as `merge` settled them, comes from."""
    yours = _asked_lengths(kind, dict(asked))
    return {
        name: "you" if name in yours else "model" if own.get(name) == value else "gistmill"
        for name, value in fields.items()
    }


def new_tokens(fields: Mapping[str, Any]) -> int:
    """New tokens at most, the end token among them; `max_length` counts the decoder's start."""
    return int(fields.get("max_new_tokens") or fields["max_length"] - 1)


def token_ids(fields: Mapping[str, Any]) -> dict[str, list[int]]:
    """Every token id that the fields mention, by field."""
    named = {n: v for n, v in fields.items() if n.endswith(("token_id", "tokens_ids", "words_ids"))}
    named |= {n: v for n, v in fields.items() if n in ("suppress_tokens", "begin_suppress_tokens")}
    return {name: _flat(value) for name, value in named.items()}


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise JobError("model_unreadable", f"{path.name}: {error}") from error
    if not isinstance(value, dict):
        raise JobError("model_unreadable", f"{path.name}: not a JSON object")
    return value


def _section(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = values.get(name)
    return value if isinstance(value, dict) else {}


def _known(fields: Mapping[str, Any], without: frozenset[str]) -> dict[str, Any]:
    names = Fields.model_fields.keys() - without
    return {name: fields[name] for name in sorted(names) if fields.get(name) is not None}


def _checked(fields: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return generation_fields.checked(fields)
    except UsageError as error:
        raise JobError("bad_parameters", str(error)) from None


def _asked_lengths(kind: Kind, asked: dict[str, Any]) -> dict[str, Any]:
    """`max_new_tokens` replaces `max_length`; for decoder-only models both mean new tokens."""
    for old, new in (("min_length", "min_new_tokens"), ("max_length", "max_new_tokens")):
        if kind == "decoder-only" and old in asked:
            asked.setdefault(new, asked[old])
        if new in asked:
            asked.pop(old, None)
    return asked


def _inherited(own: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """The model's fields that still make sense beside what was asked for."""
    drop = {"do_sample"}
    if not asked.get("do_sample"):
        # Chat models ship sampling defaults; a summary is to be the same tomorrow.
        drop |= _SAMPLING
    if asked.get("num_beams", own.get("num_beams", 1)) == 1:
        drop |= _BEAMS
    for pair in ({"max_length", "max_new_tokens"}, {"min_length", "min_new_tokens"}):
        if pair & asked.keys():
            drop |= pair
    return {name: value for name, value in own.items() if name not in drop}


def _settle_least(fields: dict[str, Any], asked: Mapping[str, Any]) -> None:
    """A minimum of the model's gives way to a maximum that was asked for, never the reverse."""
    most = new_tokens(fields)
    if most < 1:
        raise JobError("bad_parameters", "max_length: 1 leaves no room after the start token")
    for name, start in (("min_new_tokens", 0), ("min_length", 1)):
        if fields.get(name, 0) - start <= most:
            continue
        if name in asked:
            message = f"{name}: {asked[name]} is above the maximum of {most} new tokens"
            raise JobError("bad_parameters", f"{message}; raise max_new_tokens with it")
        del fields[name]


def _refuse_contradictions(fields: Mapping[str, Any]) -> None:
    """What the library would ignore or refuse, in its own words."""
    from transformers import GenerationConfig

    try:
        GenerationConfig(**fields).validate(strict=True)
    except ValueError as error:
        lines = [line.strip(" -") for line in str(error).splitlines()]
        message = next((line for line in lines if line.startswith("`")), lines[0])
        raise JobError("bad_parameters", message) from None


def _flat(value: Any) -> list[int]:
    if isinstance(value, list):
        return [each for part in value for each in _flat(part)]
    return [value]

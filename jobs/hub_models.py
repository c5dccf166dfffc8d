"""What the hub says of a model before anything of it is downloaded, and what follows of that.

Which engine would run it is a guess here, by its tags and by what the hub read of its
configuration; whether it is so, a worker finds out with the files (`gistmill models show`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jobs import model_types
from jobs.hub import plain

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ExpandModelProperty_T, ModelInfo

FIELDS: "list[ExpandModelProperty_T]" = [
    "config",
    "downloads",
    "gated",
    "likes",
    "pipeline_tag",
    "safetensors",
    "sha",
    "tags",
]
"""What the hub is asked for: `expand` of `list_models` and `model_info`."""
BASE = "base_model:"

_WRITES_TEXT = frozenset(
    {"summarization", "translation", "text-generation", "text2text-generation"}
)
_SEQ2SEQ = ("ForConditionalGeneration", "MTModel")
_CAUSAL = ("ForCausalLM", "LMHeadModel")


@dataclass(frozen=True, slots=True)
class HubModel:
    """A model as the hub describes it."""

    id: str
    revision: str | None = None
    """The commit that its default branch is at, or the one that was asked for."""
    task: str | None = None
    model_type: str | None = None
    license: str | None = None
    parameters: int | None = None
    """None where the hub has not counted them: without safetensors it does not."""
    dtypes: dict[str, int] = field(default_factory=dict)
    """Parameters by the dtype of the files, as the hub writes it (F32, BF16, …)."""
    gated: bool = False
    downloads: int = 0
    """In the last 30 days."""
    likes: int = 0
    engine: str | None = None
    """Which would run it, as it seems: "native" or "transformers"; None for neither."""
    reason: str | None = None
    """Why none would, in a few words."""


def told(info: "ModelInfo") -> HubModel:
    """`info` of `list_models` or `model_info`, asked for with `FIELDS`."""
    config, tags = info.config or {}, [plain(tag) for tag in info.tags or []]
    counted = info.safetensors
    reason = _why_not(info.pipeline_tag, config, tags)
    model_type = config.get("model_type")
    return HubModel(
        id=plain(info.id),
        revision=plain(info.sha) if info.sha else None,
        task=plain(info.pipeline_tag) if info.pipeline_tag else None,
        model_type=plain(model_type) if model_type else None,
        license=tagged(tags, "license:"),
        parameters=counted.total if counted else None,
        dtypes={plain(name): count for name, count in counted.parameters.items()}
        if counted
        else {},
        gated=bool(info.gated),
        downloads=info.downloads or 0,
        likes=info.likes or 0,
        engine=None if reason else _engine(model_type),
        reason=reason,
    )


def tagged(tags: Sequence[str], prefix: str) -> str | None:
    """What the first tag with this prefix says behind it."""
    return next((tag.removeprefix(prefix) for tag in tags if tag.startswith(prefix)), None)


def bases(info: "ModelInfo") -> dict[str, str]:
    """What the model was made of: ids, and how ("finetune", "quantized", "adapter", "merge")."""
    tags = [plain(tag).removeprefix(BASE) for tag in info.tags or [] if tag.startswith(BASE)]
    said = [tag.partition(":") for tag in tags]
    return {model: how for how, colon, model in said if colon}


def _engine(model_type: str | None) -> str:
    known = model_types.BART_LIKE | model_types.T5_LIKE | model_types.DECODER_ONLY
    return "native" if model_type in known else "transformers"


def _why_not(task: str | None, config: dict[str, Any], tags: Sequence[str]) -> str | None:
    """Of what `worker.models.resolve` would refuse, what can be told from here."""
    names = [str(name) for name in config.get("architectures") or []]
    is_causal = _end(names, _CAUSAL)
    if "safetensors" not in tags:
        return "GGUF" if "gguf" in tags else "pickles"
    if "custom_code" in tags or "auto_map" in config:
        return "own code"
    if task not in (None, *_WRITES_TEXT) or not (is_causal or _end(names, _SEQ2SEQ)):
        return "no text"
    if is_causal and not _chats(config, tags):
        return "no chat"
    return None


def _end(names: Sequence[str], endings: tuple[str, ...]) -> bool:
    return any(name.endswith(endings) for name in names)


def _chats(config: dict[str, Any], tags: Sequence[str]) -> bool:
    of_tokenizer = config.get("tokenizer_config") or {}
    given = of_tokenizer.get("chat_template") or config.get("chat_template_jinja")
    return bool(given) or "conversational" in tags

"""What the hub makes of a repository's files: its card, its tags, its config, its parameters.

The tags are those that the hub's own filters go by, `license:mit`, `base_model:quantized:ORG/M`,
`size_categories:1K<n<10K` and so on, from the front matter of README.md.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

_PREFIXED = ("task_categories", "task_ids", "size_categories", "multilinguality")
_IN_TOKENIZER_CONFIG = ("bos_token", "eos_token", "chat_template")


def card(folder: Path) -> dict[str, Any]:
    """The front matter of README.md; empty without one."""
    path = folder / "README.md"
    parts = path.read_text().split("---\n", 2) if path.exists() else []
    return yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0] else {}


def of_a_model(folder: Path) -> dict[str, Any]:
    data, config, weights = card(folder), _config(folder), parameters(folder)
    found = {
        "cardData": data,
        "config": config,
        "pipeline_tag": data.get("pipeline_tag"),
        "library_name": data.get("library_name", "transformers"),
        "tags": [*_model_tags(folder, data, config)],
    }
    return {**found, "safetensors": weights} if weights else found


def of_a_dataset(folder: Path) -> dict[str, Any]:
    data = card(folder)
    tags = [f"language:{each}" for each in _listed(data.get("language"))]
    tags += [f"license:{each}" for each in _listed(data.get("license"))]
    tags += [f"{name}:{each}" for name in _PREFIXED for each in _listed(data.get(name))]
    return {"cardData": data, "tags": [*tags, *_listed(data.get("tags"))]}


def parameters(folder: Path) -> dict[str, Any] | None:
    """By dtype and in all, from the headers of the safetensors files; None without any."""
    counted: Counter[str] = Counter()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        for name, tensor in header.items():
            if name != "__metadata__":
                counted[tensor["dtype"]] += math.prod(tensor["shape"])
    return {"parameters": dict(counted), "total": counted.total()} if counted else None


def _config(folder: Path) -> dict[str, Any]:
    whole = _json(folder / "config.json")
    of_tokenizer = _json(folder / "tokenizer_config.json")
    template = folder / "chat_template.jinja"
    found: dict[str, Any] = {
        name: whole[name] for name in ("architectures", "model_type") if name in whole
    }
    found["tokenizer_config"] = {
        name: of_tokenizer[name] for name in _IN_TOKENIZER_CONFIG if name in of_tokenizer
    }
    if template.exists():
        found["chat_template_jinja"] = template.read_text()
    return found


def _model_tags(folder: Path, data: dict[str, Any], config: dict[str, Any]) -> Iterator[str]:
    yield "transformers"
    if any(folder.glob("*.safetensors")):
        yield "safetensors"
    if any(folder.glob("*.gguf")):
        yield "gguf"
    if config.get("model_type"):
        yield config["model_type"]
    if "chat_template_jinja" in config or "chat_template" in config["tokenizer_config"]:
        yield "conversational"
    yield from _listed(data.get("tags"))
    yield from _listed(data.get("language"))
    yield from (f"license:{each}" for each in _listed(data.get("license")))
    yield from (f"dataset:{each}" for each in _listed(data.get("datasets")))
    bases = _listed(data.get("base_model"))
    for base in bases:
        yield f"base_model:{base}"
        yield f"base_model:{_relation(folder, data, bases)}:{base}"


def _relation(folder: Path, data: dict[str, Any], bases: list[str]) -> str:
    if said := data.get("base_model_relation"):
        return str(said)
    if (folder / "adapter_config.json").exists():
        return "adapter"
    return "quantized" if any(folder.glob("*.gguf")) else "merge" if len(bases) > 1 else "finetune"


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def _listed(value: Any) -> list[str]:
    return [] if value is None else list(value) if isinstance(value, list) else [value]

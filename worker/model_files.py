"""A folder of model files: which model it is, and whether it can be loaded.

Reads the config, the tokenizer and the headers of weight files; weights
themselves only in `load`. Model code is never run (`trust_remote_code=False`)
and pickles are never opened (`use_safetensors=True`). Knows no hub and no names.
"""

import hashlib
import json
import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.errors import JobError
from worker.engines import DeviceLost
from worker.generation import Kind

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
SMALL = ("*.json", "*.txt", "*.model", "*.jinja")
"""Files beside the weights that loading may read."""
_TOKENIZERS = ("tokenizer.json", "*.model", "vocab.*", "*-vocab.*")
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack")


def revision_of(folder: Path) -> str:
    """40 hexadecimal digits over the names and contents of what loading may read."""
    whole = hashlib.sha256()
    for pattern in sorted((*SMALL, "*.safetensors")):
        for path in sorted(folder.glob(pattern)):
            whole.update(f"{path.name}\0{digest(path)}\n".encode())
    return whole.hexdigest()[:40]


def digest(path: Path) -> str:
    """SHA-256 of a file's content; read again only where size or time changed."""
    stat = path.stat()
    return _digest(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=1024)
def _digest(path: Path, size: int, mtime: int) -> str:  # noqa: ARG001 - part of the key
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def quiet() -> None:
    """Turn off what the libraries print: a worker's output is its log."""
    from huggingface_hub.utils.tqdm import disable_progress_bars
    from transformers.utils import logging as transformers_logging

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    disable_progress_bars()


def wanted_weights(folder: Path) -> list[str]:
    """The names that the model's index gives to its weight files; one file without an index."""
    return _shards(folder / INDEX) if (folder / INDEX).exists() else [WEIGHTS]


def weight_names(folder: Path, names: Collection[str], model: str) -> list[str]:
    """The safetensors files that make up the model, all of them among `names`.

    `names` are the files of the model as they lie in the folder or on the hub.
    Raises JobError: "model_pickled" where there are only pickles.
    """
    wanted = [WEIGHTS] if WEIGHTS in names else wanted_weights(folder)
    missing = [name for name in wanted if name not in names]
    if not missing:
        return wanted
    if any(Path(name).suffix in _PICKLED for name in names):
        message = (
            f"{model}: its weights are pickles, which can run code; save it once as safetensors: "
            "AutoModel….from_pretrained(…).save_pretrained(…)"
        )
        raise JobError("model_pickled", message)
    raise JobError("model_unreadable", f"{model}: no {missing[0]} in it")


def check_headers(folder: Path, weights: list[str], model: str) -> None:
    """Raises JobError("model_unreadable") for a damaged or shortened file."""
    from safetensors import SafetensorError, safe_open

    for name in weights:
        try:
            with safe_open(folder / name, framework="numpy"):
                pass
        except (SafetensorError, OSError) as error:
            raise JobError("model_unreadable", f"{model}: {name}: {error}") from error


def read_kind(folder: Path, model: str) -> Kind:
    """Raises JobError("model_unreadable") for what can not generate text."""
    from transformers import (
        MODEL_FOR_CAUSAL_LM_MAPPING,
        MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
    )

    config = read_config(folder, model)
    if config.is_encoder_decoder and type(config) in MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING:
        return "encoder-decoder"
    if not config.is_encoder_decoder and type(config) in MODEL_FOR_CAUSAL_LM_MAPPING:
        return "decoder-only"
    message = f"{model}: a {config.model_type} model does not generate text"
    raise JobError("model_unreadable", message)


def read_config(folder: Path, model: str) -> "PreTrainedConfig":
    from transformers import AutoConfig

    with reading(model, "config.json"):
        config: PreTrainedConfig = AutoConfig.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )
    return config


def read_tokenizer(folder: Path, model: str) -> "PreTrainedTokenizerFast":
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    # Without any of them the library makes an empty one up and goes on.
    if not any(any(folder.glob(pattern)) for pattern in _TOKENIZERS):
        raise JobError("model_unreadable", f"{model}: has no tokenizer beside it")
    with reading(model, "its tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise JobError("model_unreadable", f"{model}: its tokenizer has no fast form")
    return tokenizer


def load(folder: Path, kind: Kind, dtype: str, device: str, model: str) -> "PreTrainedModel":
    """The model with all of its weights, on `device`, in `dtype`.

    Raises JobError("model_unreadable"), DeviceLost, and MemoryError where memory or device are
    too full: unlike a batch, a model has no smaller half, but a new process has a clean device.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    from worker.engines import device_errors

    auto: Any = AutoModelForSeq2SeqLM if kind == "encoder-decoder" else AutoModelForCausalLM
    with reading(model, "its weights"):
        loaded, report = device_errors.named(
            lambda: auto.from_pretrained(
                folder,
                dtype=getattr(torch, dtype),
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
            ),
            MemoryError,
        )
    # The library draws missing weights at random and goes on with a warning.
    if report["missing_keys"]:
        name = min(report["missing_keys"])
        raise JobError("model_unreadable", f"{model}: its weights lack {name}")
    placed: PreTrainedModel = device_errors.named(lambda: loaded.to(device), MemoryError)
    return placed


@contextmanager
def reading(model: str, what: str) -> Iterator[None]:
    """The libraries report a bad file with any exception, `Exception` itself among them."""
    try:
        yield
    except (MemoryError, DeviceLost):
        raise
    except Exception as error:
        first = f"{error}".strip().splitlines() or [type(error).__name__]
        raise JobError("model_unreadable", f"{model}: {what}: {first[0]}") from error


def _shards(index: Path) -> list[str]:
    try:
        value: Any = json.loads(index.read_bytes())
        names = sorted({str(name) for name in value["weight_map"].values()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise JobError("model_unreadable", f"{index.name}: {error!r}") from error
    # Of a file with another ending the library would unpickle what it takes for safe.
    for name in names:
        if not name.endswith(".safetensors") or Path(name).name != name:
            message = f"{index.name}: {name!r:.80} is no safetensors file beside it"
            raise JobError("model_unreadable", message)
    return names

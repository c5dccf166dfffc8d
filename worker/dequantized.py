"""A GGUF file as a folder of safetensors, made once and kept.

transformers reads GGUF by dequantizing it tensor by tensor, which takes a 135M
model 20 seconds each time; the copy loads in one. Float32: the values are those
of the quantized file, and the dtype is chosen where the model is loaded.
"""

import fcntl
import io
import shutil
from contextlib import redirect_stderr
from pathlib import Path

from worker import model_files


def copy_of(file: Path, models: Path, name: str) -> Path:
    """The folder under `models` named by the first 40 digits of the file's SHA-256.

    Two processes may ask at once: the second waits and finds it done. A copy
    that was cut short is never seen under that name, and the next one removes it.
    """
    revision = model_files.digest(file)[:40]
    folder = models / revision
    if folder.exists():
        return folder
    models.mkdir(parents=True, exist_ok=True)
    with (models / f"{revision}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            partial = models / f"{revision}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            _convert(file, partial, name)
            partial.rename(folder)
    return folder


def _convert(file: Path, folder: Path, name: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    # transformers' GGUF reader has a progress bar of its own and no switch for it.
    with model_files.reading(name, file.name), redirect_stderr(io.StringIO()):
        tokenizer = AutoTokenizer.from_pretrained(
            file.parent, gguf_file=file.name, trust_remote_code=False, local_files_only=True
        )
        model = AutoModelForCausalLM.from_pretrained(
            file.parent,
            gguf_file=file.name,
            trust_remote_code=False,
            local_files_only=True,
            dtype=torch.float32,
            # Without it the weights may stay packed, for kernels fetched from the hub.
            quantization_config=GgufConfig(dequantize=True),
        )
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)

"""transformers' continuous batching, the library's own answer for decoder-only models.

It schedules by itself: documents are given all at once, and their places are filled again as
they end. Its greedy search only; it has no beams.
"""

from pathlib import Path
from typing import Any

import torch
from transformers import ContinuousBatchingConfig, GenerationConfig

from benchmarks.engines.sides import Documents, Load
from jobs.errors import JobError
from worker import model_files, models
from worker.engines.hugging_face import generated, special_tokens

_MEMORY = 0.1
"""Of what is free, for its cache: other sides are loaded beside it, and it fills no more."""


class Continuous:
    """One model. Its cache is made anew in each run, or the next would find its prompts in it."""

    def __init__(self, load: Load) -> None:
        torch.set_num_threads(load.threads)
        resolved = models.resolve(load.model, Path(load.home))
        if resolved.folder is None or resolved.kind != "decoder-only" or load.dtype == "int8":
            raise JobError("bad_parameters", "continuous batching is for decoder-only models")
        self._model: Any = model_files.load(
            resolved.folder, resolved.kind, load.dtype, "cpu", load.model
        )
        self._model.eval()
        tokenizer = model_files.read_tokenizer(resolved.folder, load.model)
        special = special_tokens(self._model.generation_config, tokenizer)
        fields = {**special, **load.generation}
        if fields.get("min_new_tokens") == fields["max_new_tokens"]:
            # It has no rule for a least number of tokens: a text that has no end is as long.
            fields["eos_token_id"] = None
        self._config = GenerationConfig(**fields)

    def tune(self, documents: Documents) -> str:  # noqa: ARG002 - it has none
        return "its own scheduler"

    def run(self, documents: Documents) -> list[list[int]]:
        found = self._model.generate_batch(
            list(documents),
            generation_config=self._config,
            continuous_batching_config=ContinuousBatchingConfig(max_memory_percent=_MEMORY),
        )
        if len(found) < len(documents):
            raise RuntimeError("continuous batching dropped documents; its log says why")
        ordered = sorted(found.items(), key=lambda item: int(item[0].rpartition("_")[2]))
        return [generated(each.generated_tokens, self._config).ids for _, each in ordered]

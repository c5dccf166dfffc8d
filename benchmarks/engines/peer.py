"""CTranslate2, the engine to be measured against: converted, tuned and run at its best.

It takes and gives tokens as strings; looking them up is in its time, and no thousandth of it.
What its converter and its options get wrong under transformers 5 is put right here, so that it
does the same work as the other sides.
"""

import shutil
from errno import EEXIST, ENOTEMPTY
from itertools import takewhile
from pathlib import Path
from tempfile import mkdtemp
from time import perf_counter
from typing import Any

import ctranslate2
from ctranslate2.converters import TransformersConverter

from benchmarks.engines.sides import Documents, Load
from jobs.errors import JobError
from worker import model_files, models
from worker.models import Resolved

_BATCHES = (1024, 2048, 4096, 8192)
"""Tokens of a batch among which the best is looked for."""


class Peer:
    """One model. `threads` are split in two ways, and the better one is kept."""

    def __init__(self, load: Load) -> None:
        resolved = models.resolve(load.model, Path(load.home))
        if load.dtype not in ctranslate2.get_supported_compute_types("cpu"):
            raise JobError("bad_parameters", f"CTranslate2 has no {load.dtype} on this processor")
        self._load = load
        self._folder = _converted(resolved, Path(load.home))
        self._writes_on = resolved.kind == "decoder-only"
        self._words = _words(resolved)
        self._ids = {word: number for number, word in enumerate(self._words)}
        self._batch = 2048
        self._threads = (load.threads, 1)
        self._model = self._open()

    def tune(self, documents: Documents) -> str:
        """Each batch size with one-thread workers, then one worker with all threads."""
        several, one = (self._load.threads, 1), (1, self._load.threads)
        times = {(several, batch): self._seconds(several, batch, documents) for batch in _BATCHES}
        batch = min(times, key=times.__getitem__)[1]
        times[one, batch] = self._seconds(one, batch, documents)
        threads, batch = min(times, key=times.__getitem__)
        self._use(threads, batch)
        return f"{threads[0]} x {threads[1]} threads, {batch} tokens"

    def run(self, documents: Documents) -> list[list[int]]:
        words = [[self._words[token] for token in ids] for ids in documents]
        found = self._write_on(words) if self._writes_on else self._translate(words)
        return [[self._ids[word] for word in each] for each in found]

    def _seconds(self, threads: tuple[int, int], batch: int, documents: Documents) -> float:
        self._use(threads, batch)
        began = perf_counter()
        self.run(documents)
        return perf_counter() - began

    def _use(self, threads: tuple[int, int], batch: int) -> None:
        self._batch = batch
        if threads != self._threads:
            self._threads = threads
            self._model = self._open()

    def _open(self) -> Any:
        kind = ctranslate2.Generator if self._writes_on else ctranslate2.Translator
        workers, threads = self._threads
        return kind(
            str(self._folder),
            compute_type=self._load.dtype,
            inter_threads=workers,
            intra_threads=threads,
        )

    def _common(self) -> dict[str, Any]:
        fields = self._load.generation
        return {
            "beam_size": fields.get("num_beams", 1),
            "length_penalty": fields.get("length_penalty", 1.0),
            "no_repeat_ngram_size": fields.get("no_repeat_ngram_size", 0),
            "max_batch_size": self._batch,
            "batch_type": "tokens",
        }

    def _translate(self, words: list[list[str]]) -> list[list[str]]:
        least, most = _lengths(self._load.generation)
        found = self._model.translate_batch(
            words,
            min_decoding_length=least,
            max_decoding_length=most,
            max_input_length=0,
            **self._common(),
        )
        return [each.hypotheses[0] for each in found]

    def _write_on(self, words: list[list[str]]) -> list[list[str]]:
        """What all prompts begin with is kept by the peer between batches."""
        least, most = _lengths(self._load.generation)
        shared = _opening(words)
        found = self._model.generate_batch(
            [each[len(shared) :] for each in words],
            static_prompt=shared,
            min_length=least,
            max_length=most,
            include_prompt_in_result=False,
            **self._common(),
        )
        return [each.sequences[0] for each in found]


def _lengths(fields: dict[str, Any]) -> tuple[int, int]:
    """Least and most new tokens without the end token, which the peer does not count.

    Where `generate` is made to say the end token at the maximum, it takes the last place.
    """
    if "max_new_tokens" in fields:
        return fields.get("min_new_tokens", 0), fields["max_new_tokens"]
    forced = 1 if fields.get("forced_eos_token_id") is not None else 0
    return fields.get("min_length", 1) - 1, fields["max_length"] - 1 - forced


def _opening(words: list[list[str]]) -> list[str]:
    """What all of them begin with, and none of them ends in."""
    alike = takewhile(lambda column: len(set(column)) == 1, zip(*words, strict=False))
    return [column[0] for column in alike][: min(map(len, words)) - 1]


class _Converter(TransformersConverter):  # type: ignore[misc]  # it has no annotations
    """With the configuration as the converter wants it, which was written for transformers 4."""

    def load_model(self, model_class: Any, model_name_or_path: str, **options: Any) -> Any:
        model = super().load_model(model_class, model_name_or_path, **options)
        config = model.config
        if config.model_type == "bart":
            config.normalize_before = False
        if config.model_type == "t5":
            # It takes the one for the other, and would scale untied logits.
            config.tie_word_embeddings = config.scale_decoder_outputs
        return model


def _converted(resolved: Resolved, home: Path) -> Path:
    """A copy in the peer's own format, in float32, whatever it computes in later."""
    if resolved.folder is None:
        raise JobError("bad_parameters", f"CTranslate2 can not run {resolved.name}")
    folder = home / "converted" / resolved.revision
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(mkdtemp(dir=folder.parent))
        _Converter(str(resolved.folder)).convert(str(made), quantization="float32", force=True)
        try:
            made.rename(folder)
        except OSError as error:
            if error.errno not in (EEXIST, ENOTEMPTY):
                raise
            shutil.rmtree(made)  # the peer's other process was first
    return folder


def _words(resolved: Resolved) -> list[str]:
    """Each token's string, by id."""
    assert resolved.folder is not None
    known = model_files.read_tokenizer(resolved.folder, resolved.name).get_vocab()
    size = max(known.values()) + 1
    words = [f"<unknown {number}>" for number in range(size)]
    for word, number in known.items():
        words[number] = word
    return words

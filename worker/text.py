"""`gistmill text`: one summary in this process, with no services and no database.

The text goes the way of every document, prompt, tokenize, generate, decode, as
document 0 of a job: the same flags give the same summary. Nothing is stored.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from jobs import devices, options, settings
from jobs.documents import Document, storable
from jobs.errors import DocumentError, UsageError
from jobs.job import Row
from jobs.parameters import Effective, Parameters
from worker import batching, extra, long_documents, models, rows, window
from worker.choice import Choice, choose
from worker.engines import MODEL_ERRORS, DeviceLost, Engine, OutOfMemory
from worker.items import Item, Written, written
from worker.reduction import Reduction


@click.command(
    epilog="""\b
Examples:
  gistmill text "A long text. And more of it." --model lead-1
  gistmill text --model facebook/bart-large-cnn --num-beams 4 < article.txt
  gistmill text --model lead-3 --json < article.txt
"""
)
@click.argument("text", default="-")
@options.of_a_summary
@click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda:N")
@click.option("--json", "as_json", is_flag=True, help="Print how it was made, too.")
def command(text: str, device: str, as_json: bool, **given: Any) -> int:
    """Summarize TEXT, or standard input, in this process. Needs no services."""
    model, parameters = options.model(given), options.parameters(given)
    if models.needs_torch(model):
        extra.require(model)
    made = summarize(
        _read_standard_input() if text == "-" else text,
        home=settings.load().home,
        device=_device(device, model),
        model=model,
        engine=given["engine"],
        dtype=given["dtype"],
        prompt=given["prompt"],
        parameters=parameters,
    )
    click.echo(json.dumps(made, ensure_ascii=False, indent=2) if as_json else made["summary"])
    if made["truncated"] and made["depth"]:
        _hint("what the parts came to was cut: it was too long for the model, and got no shorter")
    elif made["truncated"]:
        _hint(f"the text was cut: its end is not among the {made['input_tokens']:,} tokens read")
    return 0


def summarize(
    text: str,
    *,
    home: Path,
    device: str,
    model: str,
    engine: str,
    dtype: str,
    prompt: str | None,
    parameters: Parameters,
) -> dict[str, Any]:
    """The summary and how it was made, with the names of a job's status and of a result row.

    Raises UsageError for an empty text, JobError where the model or the parameters can
    not be used, TransientError for trouble with the hub, DocumentError
    ("generation_failed", "out_of_memory", "too_long") where the model refuses the text, the
    memory is too small for it, the device is lost, or it is too long and not to be cut.
    """
    if not text.strip():
        raise UsageError("the text is empty; give one as an argument or on standard input")
    resolved = models.resolve(model, home)
    effective = models.settle(resolved, parameters, prompt)
    chosen = choose(resolved, effective, engine, dtype, device)
    loaded = _load(resolved, chosen, device)
    row = _row(loaded, Document(0, storable(text)), effective)
    return {
        "summary": row.summary,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "truncated": row.truncated,
        "finish_reason": row.finish_reason,
        "depth": row.depth,
        "spans": row.spans,
        "model": model,
        "model_revision": resolved.revision,
        "engine": chosen.engine,
        "dtype": chosen.dtype,
        "fallback": chosen.fallback,
        "parameters": effective.flat(),
        "prompt": effective.prompt,
    }


def _load(resolved: models.Resolved, chosen: Choice, device: str) -> Engine:
    try:
        return models.load(resolved, chosen.engine, chosen.dtype, device)
    except MemoryError as error:
        message = f"the model needs more memory than is free: {error}".removesuffix(": ")
        raise DocumentError("out_of_memory", message) from error
    except DeviceLost as error:
        raise _lost(error) from error


def _row(engine: Engine, document: Document, effective: Effective) -> Row:
    text = document.text or ""
    [encoded] = engine.encode([text], effective)
    if not encoded.truncated or effective.long_documents == "truncate":
        [made] = _generate(engine, [Item(0, document, encoded)], effective)
        return rows.of(*made)
    if effective.long_documents == "fail":
        message = long_documents.too_long(engine, text, effective)
        raise DocumentError("too_long", f"the text has {message}")
    return _reduced(engine, Reduction(engine, effective, 0, document), effective)


def _reduced(engine: Engine, document: Reduction, effective: Effective) -> Row:
    """Of a text that is done in parts."""
    bounds = window.bounds(engine, effective, deaths=0)
    following = document.begin()
    while not isinstance(following, Row):
        items, following = following, []
        lengths = [len(item.encoded.ids) for item in items]
        for batch in batching.plan(lengths, bounds.max_num_batched_tokens, bounds.max_num_seqs):
            for made in _generate(engine, [items[place] for place in batch], effective):
                following = document.take(*made) or following
    return following


def _generate(
    engine: Engine, batch: Sequence[Item], effective: Effective
) -> list[tuple[Item, Written]]:
    seeds = [effective.seed_of(*item.seed_of) for item in batch]
    try:
        generated = engine.generate([item.encoded.ids for item in batch], effective, seeds)
        texts = engine.decode(generated)
    except (OutOfMemory, MemoryError) as error:
        raise DocumentError("out_of_memory", _refused(error)) from error
    except DeviceLost as error:
        raise _lost(error) from error
    except MODEL_ERRORS as error:
        raise DocumentError("generation_failed", _refused(error)) from error
    made = zip(generated, texts, strict=True)
    return list(zip(batch, [written(*each) for each in made], strict=True))


def _lost(error: DeviceLost) -> DocumentError:
    return DocumentError("generation_failed", f"the device is lost: {error}; try again")


def _refused(error: Exception) -> str:
    return f"the model refuses the text: {type(error).__name__}: {error}".splitlines()[0]


def _read_standard_input() -> str:
    if sys.stdin.isatty():
        _hint("reading the text from here; Ctrl-D ends it")
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        message = f"standard input is not UTF-8 (byte {error.start}); convert it, as with iconv"
        raise UsageError(message) from None


def _device(asked: str, model: str) -> str:
    """One device. Raises UsageError for one that this machine does not have."""
    if asked == "auto" and not models.needs_torch(model):
        return "cpu"
    device = devices.find(asked)[0]
    if device != "cpu" and models.needs_torch(model):
        import torch

        if int(device.removeprefix("cuda:")) >= (count := torch.cuda.device_count()):
            raise UsageError(f"--device {device}: torch finds {count} GPUs here; try cpu")
    return device


def _hint(message: str) -> None:
    click.echo(message, err=True)

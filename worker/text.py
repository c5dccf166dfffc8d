"""`gistmill text`: one summary in this process, with no services and no database.

The text goes the way of every document, prompt, tokenize, generate, decode, as
document 0 of a job: the same flags give the same summary. Nothing is stored.
"""

import json
import sys
from pathlib import Path
from typing import Any

import click

from jobs import devices, options, settings
from jobs.documents import storable
from jobs.errors import DocumentError, UsageError
from jobs.parameters import Effective, Parameters
from worker import extra, models
from worker.choice import Choice, choose
from worker.engines import MODEL_ERRORS, DeviceLost, Encoded, Engine, Generated, OutOfMemory


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
    if made["truncated"]:
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
    ("generation_failed", "out_of_memory") where the model refuses the text, the memory is
    too small for it, or the device is lost.
    """
    if not text.strip():
        raise UsageError("the text is empty; give one as an argument or on standard input")
    resolved = models.resolve(model, home)
    effective = models.settle(resolved, parameters, prompt)
    chosen = choose(resolved, effective, engine, dtype, device)
    loaded = _load(resolved, chosen, device)
    [encoded] = loaded.encode([storable(text)], effective)
    generated, summary = _generate(loaded, encoded, effective)
    return {
        "summary": storable(summary),
        "input_tokens": encoded.tokens,
        "output_tokens": generated.tokens,
        "truncated": encoded.truncated,
        "finish_reason": generated.finish_reason,
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


def _generate(engine: Engine, encoded: Encoded, effective: Effective) -> tuple[Generated, str]:
    try:
        generated = engine.generate([encoded.ids], effective, [effective.seed_of(0)])
        [summary] = engine.decode(generated)
    except (OutOfMemory, MemoryError) as error:
        raise DocumentError("out_of_memory", _refused(error)) from error
    except DeviceLost as error:
        raise _lost(error) from error
    except MODEL_ERRORS as error:
        raise DocumentError("generation_failed", _refused(error)) from error
    return generated[0], summary


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

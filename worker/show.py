"""`gistmill models show`: one model, and what it takes to run it."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import click

from jobs import settings
from worker.described import Description, Runs, Weights, describe
from worker.memory import Estimate

_UNITS = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


@click.command(
    epilog="""\b
Examples:
  gistmill models show facebook/bart-large-cnn
  gistmill models show lead-3 --json
"""
)
@click.argument("model")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def command(model: str, as_json: bool) -> int:
    """Show what MODEL is, which engines run it, and how much memory that takes, as an estimate.

    MODEL: lead-N, smollm2-135m, a folder, a .gguf file, or ORG/NAME[@REVISION] on the hub, of
    which the small files are downloaded.
    """
    found = describe(model, settings.load().home)
    if as_json:
        click.echo(json.dumps(_as_json(found), ensure_ascii=False, indent=2))
        return 0
    click.echo(found.name)
    for name, says in _lines(found):
        click.echo(f"  {name:<11} {says}")
    return 0


def _lines(found: Description) -> Iterator[tuple[str, str]]:
    runs, on_hub = found.runs, found.on_hub
    if revision := (runs.revision if runs else on_hub and on_hub.revision):
        yield "revision", revision
    yield from _what_it_is(found)
    if found.weights:
        yield "parameters", f"{found.weights.parameters:,}"
    if on_hub:
        yield "licence", on_hub.license or "its card names none"
        if on_hub.gated:
            yield "gated", "its terms are to be accepted on the hub, and HF_TOKEN set"
    if runs:
        yield from _how_it_runs(runs, found.weights)
    else:
        yield "runs", f"{'no' if found.looked else 'unknown'}: {found.reason}"
    if on_hub:
        yield "downloads", f"{on_hub.downloads:,} in 30 days, {on_hub.likes:,} likes"
    if runs:
        yield "submit", f"gistmill submit FILE --model {shlex.quote(found.name)}"


def _what_it_is(found: Description) -> Iterator[tuple[str, str]]:
    model_type = found.runs.model_type if found.runs else found.on_hub and found.on_hub.model_type
    kind = found.runs.kind if found.runs else "unknown"
    task = f", for {found.on_hub.task}" if found.on_hub and found.on_hub.task else ""
    if kind == "lead":
        yield "kind", "the first sentences of a document"
    elif model_type:
        yield "kind", f"{kind} ({model_type}){task}"


def _how_it_runs(runs: Runs, weights: Weights | None) -> Iterator[tuple[str, str]]:
    if runs.max_input_tokens:
        yield "context", f"{runs.max_input_tokens:,} tokens of a document with its prompt"
    else:
        yield "context", "unbounded"
    if weights and weights.bytes:
        yield "weights", f"safetensors, {' and '.join(weights.by_dtype)}, {_size(weights.bytes)}"
    why = f" ({runs.fallback})" if runs.fallback else ""
    yield "engines", f"{', '.join(runs.engines)}{why}"
    if runs.memory:
        yield from zip(("memory", "", ""), _memory(runs.memory, runs.dtypes), strict=False)


def _memory(estimate: Estimate, dtypes: tuple[str, ...]) -> Iterator[str]:
    sizes = [f"{_size(estimate.weights[dtype])} in {dtype}" for dtype in dtypes]
    yield f"weights of {', '.join(sizes)};"
    yield f"a worker on a CPU takes about {_size(estimate.worker)} to load it,"
    batch = f"up to {_size(estimate.batch)}" if estimate.batch else "more"
    yield f"and {batch} for keys and values of a full batch (estimates)"


def _size(count: int) -> str:
    """1.63 GB, 269 MB."""
    size, unit = next((each for each in _UNITS if count >= each[0] * 0.9995), (1, "bytes"))
    return f"{count / size:.3g} {unit}"


def _as_json(found: Description) -> dict[str, Any]:
    return {
        "name": found.name,
        "hub": asdict(found.on_hub) if found.on_hub else None,
        "weights": asdict(found.weights) if found.weights else None,
        "runs": asdict(found.runs) if found.runs else None,
        "reason": found.reason,
    }

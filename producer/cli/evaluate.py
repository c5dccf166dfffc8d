"""`gistmill evaluate`: what a job's summaries are worth, in numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jobs.errors import UsageError
from producer.cli import evaluation, output, url
from producer.cli.output import counted

if TYPE_CHECKING:
    from producer.evaluation.evaluate import Evaluation, RougeScores
    from producer.evaluation.flags import Flag

_NO_REFERENCES = (
    "no ROUGE: no document has a reference; name a column of the source that holds them: "
    "gistmill evaluate JOB --reference-column COLUMN"
)


@click.command(
    epilog="""\b
Examples:
  gistmill evaluate JOB
  gistmill evaluate JOB --samples 10 --json
"""
)
@click.argument("job")
@url.option
@click.option("--reference-column", help="Of the source. [default: the one of the submission]")
@click.option("--no-documents", is_flag=True, help="Only summaries and references: no lead-3.")
@click.option(
    "--samples", type=click.IntRange(0, 1000), default=3, show_default=True, help="Of each flag."
)
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
def command(
    job: str, reference_column: str | None, no_documents: bool, samples: int, as_json: bool
) -> int:
    """Score JOB's summaries beside lead-3, and show what is odd; of a running job, what is
    stored."""
    if no_documents and reference_column:
        raise UsageError("--reference-column is read with the documents; leave out --no-documents")
    with output.client() as client:
        found = client.job(job)
        status = found.status()
        with evaluation.progress(status.counts.completed + status.counts.failed) as progress:
            evaluated = found.evaluate(
                samples,
                reference_column=reference_column,
                read_documents=not no_documents,
                progress=progress,
            )
    if as_json:
        output.show_json(evaluated.to_json())
    else:
        _show(evaluated)
    if evaluated.rouge:
        evaluation.tell_if_few(evaluated.rouge.documents)
    evaluation.tell_what_is_not_over((evaluated.job, evaluated.status))
    return 0


def _show(found: Evaluation) -> None:
    parts = [f"{found.job}  {found.model}: {counted(found.documents, 'summary', 'summaries')}"]
    if found.failed:
        parts.append(f"{counted(found.failed, 'failed document')} left out")
    click.echo("; ".join(parts))
    if found.rouge:
        _show_rouge(found.rouge, found.without_reference)
    else:
        output.hint(_NO_REFERENCES)
    _show_wording(found)
    click.echo("\nsummaries by words")
    evaluation.bars(found.lengths)
    click.echo("\nworth a look")
    for flag in found.flags:
        _show_flag(flag, found.documents)


def _show_rouge(found: RougeScores, without: int) -> None:
    left_out = f", {without:,} without one left out" if without else ""
    documents = counted(found.documents, "document")
    click.echo(f"\nagainst the references of {documents}{left_out}: mean F1 x 100")
    head = f"  {'':<11}{'summaries':>9}   {'95 % interval':<15}"
    click.echo(head + (f"{'lead-3':>9}   95 % interval" if found.lead_3 else ""))
    for metric, label in evaluation.METRICS.items():
        shown = [found.summaries[metric], *([found.lead_3[metric]] if found.lead_3 else [])]
        figures = "".join(f"{each.mean:>9.2f}   {evaluation.interval(each):<15}" for each in shown)
        click.echo(f"  {label:<11}{figures}".rstrip())
    if found.above_lead_3:
        above = found.above_lead_3["rouge1"]
        click.echo(
            f"  ROUGE-1 less that of lead-3: {above.mean:+.2f} "
            f"({evaluation.interval(above, '+')}; p {above.p:.3f})"
        )


def _show_wording(found: Evaluation) -> None:
    click.echo("")
    if found.words:
        click.echo(f"words of a summary   {evaluation.quartiles(found.words)}")
    if found.compression:
        click.echo(f"compression          {evaluation.quartiles(found.compression, 1)}")
    if found.novel_ngrams:
        shares = [
            f"{order}: {100 * share:.1f} %"
            for order, share in found.novel_ngrams.items()
            if share is not None
        ]
        click.echo(f"novel n-grams        {', '.join(shares)}")


def _show_flag(flag: Flag, documents: int) -> None:
    from producer.evaluation.flags import FLAGS

    count = evaluation.share(flag.documents, documents)
    click.echo(f"  {flag.name:<11}{count:<17} {FLAGS[flag.name]}")
    for sample in flag.samples:
        label = evaluation.name(sample["index"], sample["id"])
        evaluation.text(f"    {label}", sample["summary"])

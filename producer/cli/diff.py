"""`gistmill diff`: two jobs over the same documents, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from producer.cli import evaluation, output, url
from producer.cli.output import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from producer.evaluation.diff import Comparison, Diff, Sample, Side

_NO_REFERENCES = (
    "no ROUGE: no document has a reference; references come with the job: "
    "gistmill submit --reference-column COLUMN"
)
_OTHER_SOURCE = (
    "warning: the jobs have different sources, and were matched by index: that is right only "
    "where both hold the same documents in the same order"
)


@click.command(
    epilog="""\b
Examples:
  gistmill diff JOB OTHER
  gistmill diff JOB OTHER --samples 10 --json
"""
)
@click.argument("job")
@click.argument("other")
@url.option
@click.option(
    "--samples", type=click.IntRange(0, 1000), default=3, show_default=True, help="Each way."
)
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
def command(job: str, other: str, samples: int, as_json: bool) -> int:
    """Compare JOB, which is A, with OTHER, which is B, document by document."""
    with output.client() as client:
        a, b = client.job(job), client.job(other)
        counts = a.status().counts
        with evaluation.progress(counts.completed + counts.failed) as progress:
            found = a.diff(b, samples, progress=progress)
    if as_json:
        output.show_json(found.to_json())
    else:
        _show(found)
    if found.rouge:
        evaluation.tell_if_few(found.documents - found.without_reference)
    if found.matched_by == "index" and not found.same_source:
        output.hint(_OTHER_SOURCE)
    evaluation.tell_what_is_not_over(*((side.job, side.status) for side in (found.a, found.b)))
    return 0


def _show(found: Diff) -> None:
    for label, side in (("A", found.a), ("B", found.b)):
        _show_side(label, side)
    click.echo(
        f"\n{counted(found.documents, 'document')} with two summaries, matched by "
        f"{found.matched_by}; {evaluation.share(found.same, found.documents)} of them the same"
    )
    click.echo(f"how alike they are: ROUGE-L of B against A {found.alike:.2f}")
    if found.rouge:
        _show_rouge(found, found.rouge)
    else:
        output.hint(_NO_REFERENCES)
    _show_samples("B is ahead by most, in ROUGE-L", found.b_ahead)
    _show_samples("A is ahead by most, in ROUGE-L", found.a_ahead)
    _show_samples("least alike", found.least_alike)


def _show_side(label: str, side: Side) -> None:
    click.echo(f"{label}  {side.job}  {side.model}")
    if side.words:
        click.echo(f"   words of a summary: {evaluation.quartiles(side.words)}")
    missing = [
        (side.failed, "failed"),
        (side.only_here, "not in the other"),
    ]
    left_out = ", ".join(f"{count:,} {why}" for count, why in missing if count)
    if left_out:
        click.echo(f"   left out: {left_out}")


def _show_rouge(found: Diff, rouge: dict[str, Comparison]) -> None:
    scored = counted(found.documents - found.without_reference, "document")
    others = f"; {found.other_reference:,} have two, A's is taken" if found.other_reference else ""
    click.echo(f"\nagainst the references of {scored}{others}: mean F1 x 100")
    click.echo(
        f"{'':<10}{'A':>7}{'B':>7}{'B - A':>8}  {'95 % interval':<16}{'p':>7}"
        f"{'B wins':>8}{'ties':>7}{'A wins':>8}"
    )
    for metric, label in evaluation.METRICS.items():
        each = rouge[metric]
        click.echo(
            f"{label:<10}{each.a.mean:>7.2f}{each.b.mean:>7.2f}{each.difference.mean:>+8.2f}"
            f"  {evaluation.interval(each.difference, '+'):<16}{each.difference.p:>7.3f}"
            f"{each.wins:>8,}{each.ties:>7,}{each.losses:>8,}"
        )


def _show_samples(title: str, samples: Sequence[Sample]) -> None:
    if not samples:
        return
    click.echo(f"\n{title}")
    for sample in samples:
        gain = "" if sample.difference is None else f"  {sample.difference:+.1f}"
        click.echo(f"  {evaluation.name(sample.index, sample.id)}{gain}")
        evaluation.text("    A", sample.a)
        evaluation.text("    B", sample.b)
        if sample.reference is not None:
            evaluation.text("    reference", sample.reference)

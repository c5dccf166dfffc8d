"""`gistmill models search` and `related`: models on the hub, and the family of one.

`gistmill models show` is a worker's: it looks at the model's files (`worker.show`).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from producer.cli import found, output

if TYPE_CHECKING:
    from jobs.hub_models import HubModel
    from producer.hub.models import Related


@click.command(
    epilog="""\b
Examples:
  gistmill models search --task summarization --max-parameters 1B
  gistmill models search bart cnn --license apache-2.0 --sort likes
  gistmill models search distilbart -q
"""
)
@click.argument("words", nargs=-1)
@click.option("--task", help="As in summarization.")
@click.option("--language", help="As in en.")
@click.option("--license", "licence", help="As in apache-2.0.")
@click.option("--author", help="A user or an organization.")
@click.option("--min-parameters", type=found.Count(), metavar="N", help="As in 60M.")
@click.option("--max-parameters", type=found.Count(), metavar="N", help="As in 1B.")
@found.options("models")
def search(
    words: tuple[str, ...],
    task: str | None,
    language: str | None,
    licence: str | None,
    author: str | None,
    min_parameters: str | None,
    max_parameters: str | None,
    sort: str,
    limit: int,
    quiet: bool,
    as_json: bool,
) -> int:
    """Find models on the hub whose names hold WORDS. ENGINE is a guess by what the hub says;
    `gistmill models show` looks at the files."""
    from producer.hub import models

    listed = models.search(
        " ".join(words),
        task=task,
        language=language,
        license=licence,
        author=author,
        parameters=(min_parameters, max_parameters),
        sort=sort,
        limit=limit,
    )
    nothing = "no such model on the hub; ask for less, or see the names with fewer words"
    found.show(listed, found.models, quiet=quiet, as_json=as_json, nothing=nothing)
    return 0


@click.command(
    epilog="""\b
Examples:
  gistmill models related facebook/bart-large-cnn
  gistmill models related facebook/bart-large-cnn --limit 20 --json
"""
)
@click.argument("model")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=5, show_default=True, help="Of each kind."
)
@click.option("-q", "--quiet", is_flag=True, help="Print ids and nothing else.")
@click.option("--json", "as_json", is_flag=True, help="Print the models as JSON.")
def related(model: str, limit: int, quiet: bool, as_json: bool) -> int:
    """Show what MODEL, an ORG/NAME on the hub, was made of and what was made of it, the most
    downloaded first."""
    from producer.hub import models

    family = models.related(model, limit)
    groups = _groups(family)
    if as_json:
        output.show_json(asdict(family))
    elif quiet:
        found.ids([each for _, members in groups for each in members])
    else:
        _show(family.model, groups)
    return 0


_MADE_OF = {
    "finetune": "fine-tuned from",
    "quantized": "quantized from",
    "adapter": "an adapter of",
    "merge": "merged from",
}
_MADE = {
    "finetune": "fine-tunes",
    "quantized": "quantizations",
    "adapter": "adapters",
    "merge": "merges",
}


def _groups(family: Related) -> list[tuple[str, tuple[HubModel, ...]]]:
    bases = [(_MADE_OF.get(how, how), models) for how, models in family.bases.items()]
    return bases + [(_MADE[how], models) for how, models in family.made_of_it.items()]


def _show(model: HubModel, groups: list[tuple[str, tuple[HubModel, ...]]]) -> None:
    if not groups:
        output.hint(f"{model.id}: its card names no base, and nothing on the hub names it as one")
    for heading, members in groups:
        click.echo(f"{heading}:")
        found.models(members)

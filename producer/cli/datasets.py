"""`gistmill datasets search` and `show`: datasets on the hub, and what is in one."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from producer.cli import found, output

if TYPE_CHECKING:
    from producer.hub.contents import Config, Contents


@click.command(
    epilog="""\b
Examples:
  gistmill datasets search --task summarization --language en --size 100K-1M
  gistmill datasets search dialogue --license cc-by-4.0 --sort likes
  gistmill datasets search xsum -q
"""
)
@click.argument("words", nargs=-1)
@click.option("--task", help="As in summarization.")
@click.option("--size", metavar="ROWS", help="About so many, as 50K, or one of <1K, 1K-10K, …")
@click.option("--language", help="As in en.")
@click.option("--license", "licence", help="As in cc-by-4.0.")
@click.option("--author", help="A user or an organization.")
@found.options("datasets")
def search(
    words: tuple[str, ...],
    task: str | None,
    size: str | None,
    language: str | None,
    licence: str | None,
    author: str | None,
    sort: str,
    limit: int,
    quiet: bool,
    as_json: bool,
) -> int:
    """Find datasets on the hub whose names hold WORDS."""
    from producer.hub import datasets

    listed = datasets.search(
        " ".join(words),
        task=task,
        size=size,
        language=language,
        license=licence,
        author=author,
        sort=sort,
        limit=limit,
    )
    nothing = "no such dataset on the hub; ask for less"
    found.show(listed, found.datasets, quiet=quiet, as_json=as_json, nothing=nothing)
    return 0


@click.command(
    epilog="""\b
Examples:
  gistmill datasets show EdinburghNLP/xsum
  gistmill datasets show abisee/cnn_dailymail --config 3.0.0 --json
"""
)
@click.argument("dataset")
@click.option("--config", metavar="NAME", help="Look at this configuration.")
@click.option("--revision", metavar="REV", help="A branch, a tag or a commit.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def show(dataset: str, config: str | None, revision: str | None, as_json: bool) -> int:
    """Show what is in DATASET, an ORG/NAME[@REVISION] on the hub: its splits, their rows, and
    the columns that a job would take. Downloads no data."""
    from producer.hub import contents

    dataset, _, at = dataset.partition("@")
    inside = contents.describe(dataset, config, revision or at or None)
    if as_json:
        output.show_json(asdict(inside))
        return 0
    _head(inside)
    _splits(inside)
    _columns(inside)
    if inside.reason:
        output.hint(inside.reason)
    elif inside.config:
        click.echo(f"submit it with: {_line(inside, inside.config, revision or at)}")
    return 0


def _head(inside: Contents) -> None:
    dataset = inside.dataset
    click.echo(dataset.id)
    lines = {
        "revision": dataset.revision,
        "licence": dataset.license or "its card names none",
        "gated": "its terms are to be accepted on the hub, and HF_TOKEN set"
        if dataset.gated
        else None,
        "languages": ", ".join(dataset.languages),
        "tasks": ", ".join(dataset.tasks),
        "downloads": f"{dataset.downloads:,} in 30 days, {dataset.likes:,} likes",
    }
    for name, says in lines.items():
        if says:
            click.echo(f"  {name:<10} {says}")


def _splits(inside: Contents) -> None:
    rows: list[tuple[str, str, str]] = []
    for config in inside.configs:
        splits: dict[str, int | None] = config.splits or {"unknown": None}
        rows += [
            (config.name, split, "unknown" if count is None else f"{count:,}")
            for split, count in splits.items()
        ]
    if rows:
        click.echo()
        found.table({"CONFIG": 40, "SPLIT": 20, "ROWS": 15}, rows, right=("ROWS",))


def _columns(inside: Contents) -> None:
    config = inside.config
    if config is None:
        return
    click.echo()
    if not config.columns:
        click.echo("its columns are unknown before it is read; see submit --dry-run")
        return
    chosen = asdict(inside.chosen.columns) if inside.chosen else {}
    used = {column: name for name, column in chosen.items() if column}
    rows = [(name, kind, used.get(name, "")) for name, kind in config.columns.items()]
    found.table({"COLUMN": 40, "TYPE": 24, "USED AS": 9}, rows)
    click.echo()


def _line(inside: Contents, config: Config, revision: str) -> str:
    words = ["gistmill", "submit", inside.dataset.id]
    if len(inside.configs) > 1:
        words += ["--config", config.name]
    if revision:
        words += ["--revision", revision]
    if len(config.splits) > 1:
        words += ["--split", _a_split(config)]
    return shlex.join(words)


def _a_split(config: Config) -> str:
    """One that people summarize: as a rule the smaller ones are kept for that."""
    usual = (each for each in ("test", "validation") if each in config.splits)
    return next(usual, next(iter(config.splits)))

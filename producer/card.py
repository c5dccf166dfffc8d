"""The card of a dataset with summaries: what a stranger needs to know, and nothing of its maker.

States where the documents come from, how the summaries were made, how many there are and how
they score. Says nothing of the machine: of a path its last name, of a URL no user, no query;
nothing of labels, names of jobs, hosts or times, so that the same job has the same card.
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import PurePath
from typing import Any, Protocol

from jobs.allowed_sources import is_url, without_secrets
from jobs.parameters import Parameters
from producer.card_scores import Scores

TAG = "gistmill"
"""By which a repository is known to hold such a dataset and nothing else."""

_SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000)


@dataclass(frozen=True)
class Origin:
    """What the hub says of the dataset that the documents are from."""

    license: str | Sequence[str] | None = None
    language: str | Sequence[str] | None = None


class Made(Protocol):
    """What the job itself says: a `JobRecord` does."""

    @property
    def source(self) -> dict[str, Any]: ...

    @property
    def model(self) -> str: ...

    @property
    def model_revision(self) -> str | None: ...

    @property
    def engine(self) -> str | None: ...

    @property
    def dtype(self) -> str | None: ...

    @property
    def requested(self) -> dict[str, Any]: ...

    @property
    def parameters(self) -> dict[str, Any] | None:
        """As they were settled: those of `jobs.parameters.Effective`."""

    @property
    def total(self) -> int | None: ...


@dataclass(frozen=True)
class Facts:
    """What the card states that the job itself does not say."""

    rows: int
    failed: int
    columns: Sequence[str]
    summary_column: str
    split: str
    scores: Scores | None = None
    origin: Origin = Origin()


def card(job: Made, facts: Facts) -> str:
    """README.md, front matter included."""
    return f"---\n{_front_matter(job, facts)}\n---\n{_text(job, facts)}"


# --- front matter


def _front_matter(job: Made, facts: Facts) -> str:
    from huggingface_hub import DatasetCardData

    dataset = job.source.get("dataset")
    data = DatasetCardData(
        language=_plain(facts.origin.language),
        license=_plain(facts.origin.license),
        pretty_name=f"Summaries of {_source_name(job.source)}",
        size_categories=[_size(facts.rows)],
        source_datasets=[dataset] if dataset else None,
        task_categories=["summarization"],
        tags=[TAG, "synthetic", "summaries"],
        configs=[{"config_name": "default", "data_files": _data_files(facts.split)}],
    )
    return data.to_yaml(line_break="\n").strip()


def _data_files(split: str) -> list[dict[str, str]]:
    return [{"split": split, "path": f"data/{split}-*.parquet"}]


def _plain(said: str | Sequence[str] | None) -> str | list[str] | None:
    return said if said is None or isinstance(said, str) else [*said]


def _size(rows: int) -> str:
    """As the hub writes it: 1K<n<10K."""
    if rows < _SIZES[0]:
        return "n<1K"
    names = ("1K", "10K", "100K", "1M", "10M", "100M", "1B")
    at = sum(rows >= size for size in _SIZES) - 1
    return f"n>{names[at]}" if at == len(names) - 1 else f"{names[at]}<n<{names[at + 1]}"


# --- text


def _text(job: Made, facts: Facts) -> str:
    return "\n".join(
        [
            f"# Summaries of {_inline(_source_name(job.source))}",
            "",
            f"Made with gistmill {version('gistmill')}: the documents of the source with a summary "
            f"of each by `{_inline(model_name(job.model))}`, in the column "
            f"`{_inline(facts.summary_column)}`. "
            "Summaries are what a model wrote, unread by anybody: they may be wrong.",
            "",
            *_table(_statements(job, facts)),
            *_scored(facts.scores),
            "",
            "## Columns",
            "",
            *(f"- `{_inline(name)}`{_meaning(name, facts)}" for name in facts.columns),
            "",
            "## Made by",
            "",
            *_fenced(command_line(job)),
            "",
        ]
    )


def _statements(job: Made, facts: Facts) -> Iterator[tuple[str, str]]:
    yield "source", _source(job.source)
    yield "model", f"`{_inline(model_name(job.model))}`"
    if job.model_revision:
        yield "model revision", f"`{job.model_revision}`"
    yield "engine", job.engine or "not settled yet"
    if job.dtype:
        yield "dtype", job.dtype
    parameters = dict(job.parameters or {})
    if prompt := parameters.get("prompt"):
        yield "prompt", f"`{_inline(prompt)}`"
    settled = {**parameters.pop("generation", {}), **parameters}
    settled.pop("prompt", None)
    yield from (
        (name, f"`{_inline(str(value))}`") for name, value in settled.items() if value is not None
    )
    yield "documents", f"{facts.rows:,}"
    yield "summaries", f"{facts.rows - facts.failed:,}"
    yield "failed", f"{facts.failed:,}"
    if job.total is not None and facts.rows < job.total:
        yield "not in it", f"{job.total - facts.rows:,}, which were not done when it was made"


def _fenced(text: str) -> list[str]:
    """A prompt may hold a fence of its own."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [fence, text, fence]


def _table(statements: Iterator[tuple[str, str]]) -> list[str]:
    rows = [f"| {name} | {value.replace('|', chr(92) + '|')} |" for name, value in statements]
    return ["| | |", "|---|---|", *rows]


def _scored(scores: Scores | None) -> list[str]:
    if scores is None:
        return []
    metrics = list(next(iter(scores.of.values())))
    rows = [[name, *(f"{of[metric]:.2f}" for metric in metrics)] for name, of in scores.of.items()]
    return [
        "",
        "## Scores",
        "",
        f"ROUGE of {scores.documents:,} summaries against the source's references: mean F1, with "
        "stemming, times 100.",
        "",
        f"| | {' | '.join(metrics)} |",
        f"|---|{'---|' * len(metrics)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _meaning(name: str, facts: Facts) -> str:
    if name == facts.summary_column:
        return ": the summary; null where the document failed"
    if name == f"{facts.summary_column}_error":
        return ": why it failed, else null"
    return ""


# --- the command line


def command_line(job: Made) -> str:
    """What would submit such a job; of flags only those that were given."""
    requested = job.requested
    words = ["gistmill", "submit", _source_word(job.source), "--model", model_name(job.model)]
    given = {name: requested.get(name) for name in ("engine", "dtype", "prompt")}
    given = {name: value for name, value in given.items() if value not in (None, "auto")}
    columns = job.source.get("columns") or {}
    of_source = {name: job.source.get(name) for name in ("config", "split")}
    if job.source.get("split") and not job.source.get("converted"):
        of_source["revision"] = job.source["commit"]
    of_source |= {f"{name}_column": value for name, value in columns.items()}
    usual = Parameters().model_dump(mode="json")
    asked = dict(requested.get("parameters") or {})
    extra = asked.pop("generate", None) or {}
    parameters = {name: value for name, value in asked.items() if value != usual.get(name)}
    for name, value in {**of_source, **given, **parameters}.items():
        if value is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    for name, value in extra.items():
        words += ["--generate", f"{name}={value}"]
    return shlex.join(words)


# --- names that are nobody's business but the source's


def _source_word(source: Mapping[str, Any]) -> str:
    if source["kind"] == "inline":
        return "-"
    return _hub_files(source) or _source_name(source)


def _hub_files(source: Mapping[str, Any]) -> str | None:
    """Where they are named one by one, not as a split."""
    if "dataset" not in source or source.get("split"):
        return None
    one = f"hf://datasets/{source['dataset']}@{source['commit']}/{source.get('hub_file')}"
    return str(source.get("pattern") or one)


def _source_name(source: Mapping[str, Any]) -> str:
    if dataset := source.get("dataset"):
        return str(dataset)
    named = next((source[key] for key in ("pattern", "url", "path") if source.get(key)), None)
    if named is None:
        return "documents given inline"
    return _bare(str(named))


def _bare(place: str) -> str:
    return without_secrets(place) if is_url(place) else PurePath(place).name


def _source(source: Mapping[str, Any]) -> str:
    if source["kind"] == "inline":
        return "documents given inline"
    said = [f"`{_inline(_source_name(source))}`"]
    said += [f"{key} `{_inline(source[key])}`" for key in ("config", "split") if source.get(key)]
    said += [f"files `{_inline(files)}`"] if (files := _hub_files(source)) else []
    said += [f"at commit `{source['commit']}`"] if source.get("commit") else []
    return ", ".join(said)


def model_name(model: str) -> str:
    """Of a folder or a file its own name: where it lies is the machine's business."""
    return model if not PurePath(model).is_absolute() else PurePath(model).name


def _inline(text: str) -> str:
    return " ".join(text.split()).replace("`", "'")

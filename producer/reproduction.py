"""The command line that makes a job again: the same documents, model and parameters.

Pure: knows the job as it is stored, and asks nobody. Unlike the line on a card
(`producer.card`) it is for the people of this mill, and names paths as they are.
"""

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobs import model_names
from jobs.job import SHARD_SIZE
from jobs.parameters import Parameters
from jobs.sources import kinds
from jobs.store.jobs import JobRecord

_INLINE = "inline"


@dataclass(frozen=True, slots=True)
class Reproduction:
    """A line for the shell, and what it can not say."""

    line: str
    notes: list[str]


def reproduction(job: JobRecord, now: datetime) -> Reproduction:
    """How to submit the job again. Model and dataset are named at the revision that it had; a
    deadline that has passed `now` is left out."""
    words = ["gistmill", "submit", _location(job.source)]
    for flag, value in [*_of_model(job), *_of_source(job.source), *_of_job(job, now)]:
        words += [flag] if value is None else [flag, value]
    return Reproduction(shlex.join(words), [*_notes(job, now)])


def _location(source: Mapping[str, Any]) -> str:
    """What was named, or what it was found to be."""
    if source["kind"] == _INLINE:
        return "-"
    if "upload" in source:
        return str(source["upload"]["name"])
    if "dataset" in source:
        if source.get("split"):
            return str(source["dataset"])
        one = f"hf://datasets/{source['dataset']}@{source['commit']}/{source.get('hub_file')}"
        return str(source.get("pattern") or one)
    return str(next(source[key] for key in ("pattern", "url", "path") if source.get(key)))


def _of_source(source: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    columns = source.get("columns")
    if source["kind"] == _INLINE and columns is None:
        yield "--lines", None
        return
    of_split = "dataset" in source and source.get("split")
    if not of_split and source["kind"] != _INLINE:
        place = _location(source)
        if kinds.of_name(place) != source["kind"]:
            yield "--format", source["kind"]
    for name in ("config", "split"):
        if source.get(name):
            yield f"--{name}", str(source[name])
    # What the hub has converted lies at a commit of its own, which no flag names.
    if of_split and not source.get("converted"):
        yield "--revision", str(source["commit"])
    for name, value in (columns or {}).items():
        yield f"--{name}-column", value or ""


def _of_model(job: JobRecord) -> Iterator[tuple[str, str | None]]:
    requested = job.requested
    yield "--model", _pinned(job)
    for name in ("engine", "dtype"):
        if requested.get(name, "auto") != "auto":
            yield f"--{name}", requested[name]
    if requested.get("prompt") is not None:
        yield "--prompt", requested["prompt"]
    asked = dict(requested.get("parameters") or {})
    generate = asked.pop("generate", None) or {}
    usual = Parameters().model_dump(mode="json")
    for name, value in asked.items():
        if value != usual.get(name):
            yield f"--{name.replace('_', '-')}", str(value)
    for name, value in generate.items():
        yield "--generate", f"{name}={json.dumps(value)}"


def _pinned(job: JobRecord) -> str:
    """A model of the hub at the commit that was used; others are named by themselves."""
    hub = model_names.HUB.fullmatch(job.model)
    if hub is None or job.model_revision is None:
        return job.model
    return f"{hub['repository']}@{job.model_revision}"


def _of_job(job: JobRecord, now: datetime) -> Iterator[tuple[str, str | None]]:
    to_come = job.deadline if job.deadline is not None and job.deadline > now else None
    given: list[tuple[str, object]] = [
        ("--name", job.name),
        *(("--label", f"{key}={value}") for key, value in job.labels.items()),
        ("--shard-size", job.shard_size if job.shard_size != SHARD_SIZE else None),
        ("--priority", job.priority or None),
        ("--fair-by", _fair_by(job)),
        ("--window", job.run_window),
        ("--deadline", to_come and to_come.isoformat(timespec="seconds")),
        ("--max-error-rate", job.max_error_rate),
    ]
    yield from ((flag, str(value)) for flag, value in given if value is not None)
    if not job.requested.get("reuse", True):
        yield "--no-reuse", None
    if job.dry_run:
        yield "--dry-run", None


def _fair_by(job: JobRecord) -> str | None:
    """Keys of labels may hold an = as well."""
    pairs = {f"{key}={value}": key for key, value in job.labels.items()}
    return pairs.get(job.fair_group)


def _notes(job: JobRecord, now: datetime) -> Iterator[str]:
    source = job.source
    if source["kind"] == _INLINE:
        form = "JSON lines" if source.get("columns") else "plain text, a document a line"
        yield f"The documents were given by hand: pipe them in again, as {form}."
    if "upload" in source:
        yield f"The file was uploaded, as {source['upload']['id']}: name your own copy of it."
    if source.get("converted"):
        yield "The hub converted this dataset to Parquet; a later conversion may differ."
    if job.deadline is not None and job.deadline <= now:
        yield "Its deadline has passed and is left out."
    if job.requested.get("reuse", True):
        yield "Texts that were summarized before are not done again; add --no-reuse to do all."

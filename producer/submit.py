"""Submitting: cut the source into shards, commit job and shards, then try one dispatch.

Nothing is sent before the commit. A broker that is down does not refuse a job:
the dispatcher sends it when the broker is back.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, get_args

from jobs.database import Database, Transaction
from jobs.documents import Columns, Document, from_mapping, from_text
from jobs.errors import UsageError
from jobs.job import SHARD_SIZE, NewJob, NewShard
from jobs.parameters import Dtype, Engine, Parameters
from jobs.sources import inline, jsonl
from jobs.store import documents, jobs, shards

# Shards are stored this many at a time, so that memory stays flat.
_SHARDS_AT_ONCE = 1000


@dataclass(frozen=True, kw_only=True)
class Request:
    """Everything of a submission but its documents. Raises UsageError where it makes no sense."""

    model: str
    name: str | None = None
    engine: str = "auto"
    dtype: str = "auto"
    prompt: str | None = None
    parameters: Parameters = field(default_factory=Parameters)
    shard_size: int = SHARD_SIZE

    def __post_init__(self) -> None:
        _one_of("engine", self.engine, get_args(Engine))
        _one_of("dtype", self.dtype, get_args(Dtype))
        if self.shard_size < 1:
            raise UsageError(f"shard size {self.shard_size}: must be at least 1 document")
        if not self.model.strip():
            raise UsageError("model: name one, such as lead-3, a folder, or ORG/NAME")

    def new_job(self, source: dict[str, Any]) -> NewJob:
        requested = {
            "engine": self.engine,
            "dtype": self.dtype,
            "prompt": self.prompt,
            "parameters": self.parameters.model_dump(mode="json"),
        }
        return NewJob(jobs.new_id(), self.name, self.model, requested, source, self.shard_size)


def submit_file(database: Database, request: Request, path: Path, columns: Columns) -> str:
    """Submit a JSONL file, which stays where it is; returns the job's id.

    Raises NotFound where the file can not be read, UsageError where it has no document.
    """
    source = jsonl.describe(path, columns)
    job = request.new_job(source)
    with database.transaction() as tx:
        jobs.add(tx, job)
        total = _add_shards(tx, job.id, jsonl.plan(source, request.shard_size))
        _finish(tx, job.id, total, str(path))
    return job.id


def submit_documents(database: Database, request: Request, given: Iterable[Document]) -> str:
    """Submit documents that are kept in SQL; returns the job's id. Reads `given` once."""
    job = request.new_job(inline.describe())
    with database.transaction() as tx:
        jobs.add(tx, job)
        total = _add_shards(tx, job.id, _stored(tx, job.id, given, request.shard_size))
        _finish(tx, job.id, total, "the input")
    return job.id


def from_python(given: Iterable[object], columns: Columns) -> Iterator[Document]:
    """Strings and mappings as documents. Raises UsageError for anything else."""
    for index, item in enumerate(given):
        if isinstance(item, str):
            yield from_text(index, item)
        elif isinstance(item, Mapping):
            yield from_mapping(index, item, columns)
        else:
            kind = type(item).__name__
            raise UsageError(f"document {index} is {kind}; give strings, or mappings with a text")


def _stored(
    tx: Transaction, job_id: str, given: Iterable[Document], shard_size: int
) -> Iterator[NewShard]:
    """Stores documents as they are read, and says which shard they make."""
    remaining = iter(given)
    while batch := list(islice(remaining, shard_size)):
        documents.add(tx, job_id, batch)
        yield NewShard(batch[0].index, batch[-1].index + 1)


def _add_shards(tx: Transaction, job_id: str, planned: Iterator[NewShard]) -> int:
    """Returns how many documents they hold."""
    number = total = 0
    while several := list(islice(planned, _SHARDS_AT_ONCE)):
        shards.add(tx, job_id, number, several)
        number += len(several)
        total = several[-1].stop
    return total


def _finish(tx: Transaction, job_id: str, total: int, source: str) -> None:
    if not total:
        raise UsageError(f"{source} holds no document; give one JSON object a line")
    jobs.set_total(tx, job_id, total)


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UsageError(f"{name} {value!r}: choose one of {', '.join(known)}")

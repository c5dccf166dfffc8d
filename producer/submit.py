"""Submitting: cut the source into shards, commit job and shards.

Nothing is sent before the commit. Under an idempotency key that is known already no
second job is made: the same content is the first job, other content is an error.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from itertools import islice
from typing import Any, get_args

from jobs import model_names, sources
from jobs.allowed_sources import Allowed
from jobs.columns import Chosen
from jobs.database import Database, Transaction
from jobs.documents import Columns, Document, from_mapping, from_text, storable
from jobs.errors import KeyTaken, UsageError
from jobs.job import SHARD_SIZE, NewJob, NewShard, shard_sizes
from jobs.parameters import Dtype, Engine, Parameters, refuse_for_lead
from jobs.sources import inline
from jobs.sources.asked import Asked
from jobs.sources.located import File
from jobs.store import documents, jobs, locks, queueing
from jobs.store.jobs import Earlier
from jobs.windows import RunWindow
from producer.webhooks import addresses

_MOST_PRIORITY = 1000
_LARGEST_SHARD = 1_000_000

_PASSING = ("modified_ns", "guessed")
_OF_AN_UPLOAD = ("upload", "path", "url")
"""Each upload of the same file has others."""

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
    only_chat: bool = False
    """Whether only a model that chats takes the prompt, and any other the document alone."""
    parameters: Parameters = field(default_factory=Parameters)
    shard_size: int | None = None
    """Documents of each shard; None for few at first, and then more."""
    labels: Mapping[str, str] = field(default_factory=dict)
    priority: int = 0
    idempotency_key: str | None = None
    window: RunWindow | None = None
    deadline: datetime | None = None
    fair_by: str | None = None
    """A label: jobs are served fairly between its values."""
    max_error_rate: float | None = None
    reuse: bool = True
    """Whether the same text is summarized once, for whichever document or job."""
    dry_run: bool = False
    owner: str | None = None
    """The token that it comes with."""
    webhook: str | None = None
    """A URL that is told when the job is over."""

    def __post_init__(self) -> None:
        self._check_texts()
        if self.webhook is not None:
            addresses.parsed(self.webhook)
        _one_of("engine", self.engine, get_args(Engine))
        _one_of("dtype", self.dtype, get_args(Dtype))
        size = self.shard_size
        if size is not None and (not _is_whole(size) or not 1 <= size <= _LARGEST_SHARD):
            how = f"write a whole number from 1 to {_LARGEST_SHARD:,}"
            raise UsageError(f"shard size {size!r}: {how}")
        if self.idempotency_key is not None and not self.idempotency_key.strip():
            raise UsageError("idempotency key: it is blank; choose one, or leave it out")
        if not self.model.strip():
            raise UsageError("model: name one, such as lead-3, a folder, or ORG/NAME")
        if model_names.is_lead(self.model):
            refuse_for_lead(self.model, self.parameters, None if self.only_chat else self.prompt)
        check_priority(self.priority)
        if self.fair_by is not None and self.fair_by not in self.labels:
            raise UsageError(f"fair by {self.fair_by!r}: give the job that label too")
        rate = self.max_error_rate
        if rate is not None and not (isinstance(rate, int | float) and 0 <= rate < 1):
            raise UsageError(f"max error rate {rate!r}: write 0.2 for one in five")

    def _check_texts(self) -> None:
        texts: dict[str, object] = {
            "model": self.model,
            "name": self.name,
            "prompt": self.prompt,
            "idempotency key": self.idempotency_key,
        }
        if not isinstance(self.labels, Mapping):
            raise UsageError("labels: give a mapping of keys to values")
        texts |= {f"label {key!r}": key for key in self.labels}
        texts |= {f"label {key}": value for key, value in self.labels.items()}
        for name, value in texts.items():
            _check_text(name, value, needed=name == "model" or name.startswith("label"))

    def new_job(self, source: dict[str, Any]) -> NewJob:
        window = self.window
        return NewJob(
            id=jobs.new_id(),
            name=self.name,
            model=self.model,
            requested=self._requested(),
            source=source,
            shard_size=self.shard_size or SHARD_SIZE,
            labels=dict(self.labels),
            priority=self.priority,
            dry_run=self.dry_run,
            idempotency_key=self.idempotency_key,
            deadline=self.deadline,
            run_window=None if window is None else str(window),
            interval=None if window is None else window.interval(datetime.now(UTC)),
            fair_group=f"{self.fair_by}={self.labels[self.fair_by]}" if self.fair_by else "",
            max_error_rate=self.max_error_rate,
            owner=self.owner,
            webhook=self.webhook,
        )

    def content(self) -> "Content":
        """A digest of what decides the summaries, to which the documents are added."""
        return Content(self.model, self._requested(), self.dry_run)

    def _requested(self) -> dict[str, Any]:
        # Where it is not said there is no key: jobs of earlier versions have none.
        only_chat = {"only_chat": True} if self.only_chat else {}
        return {
            "engine": self.engine,
            "dtype": self.dtype,
            "prompt": self.prompt,
            "parameters": self.parameters.model_dump(mode="json"),
            "reuse": self.reuse,
            **only_chat,
        }


class Content:
    """Whether two submissions ask for the same: a digest over what they are made of."""

    def __init__(self, *parts: object) -> None:
        self._digest = sha256()
        self.add(parts)

    def add(self, part: object) -> None:
        self._digest.update(json.dumps(part, sort_keys=True).encode() + b"\n")

    def sha256(self) -> str:
        return self._digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Accepted:
    """A job's id, and whether this submission made it."""

    job_id: str
    new: bool
    note: str | None = None
    """What keeps it waiting, where that is known already."""


Beside = Callable[[Transaction, str], None]
"""Stores what is committed together with a new job, whose id it is given."""


def submit_source(
    database: Database,
    request: Request,
    location: str,
    asked: Asked,
    allowed: Allowed,
    facts: Mapping[str, Any] | None = None,
    beside: Beside | None = None,
) -> Accepted:
    """Submit what lies at a location, and stays there. `facts` are kept with its source.

    Raises NotAllowed where it lies elsewhere than it may, NotFound where it can not be read,
    Unreachable, UsageError where it has no document or can not be told what it is.
    """
    for column in (asked.columns.text, asked.columns.id, asked.columns.reference):
        _check_text("column", column, needed=False)
    found = sources.describe(location, asked, allowed)
    found = replace(found, source={**found.source, **(facts or {})})
    content = request.content()
    passing = (*_PASSING, *_OF_AN_UPLOAD) if "upload" in found.source else _PASSING
    content.add(_without(found.source, passing))
    found = replace(found, files=_each(found.files, content, passing))
    with database.transaction() as tx:
        locks.may_idle(tx)
        if earlier := _earlier(tx, request):
            for _ in found.files:
                pass
            return _same(request, earlier, content)
        job = request.new_job(found.source)
        jobs.add(tx, job)
        planned = sources.plan(found, shard_sizes(request.shard_size), allowed)
        total = _add_shards(tx, job.id, planned)
        what = f"{location}: split {asked.split!r}" if asked.split else location
        _finish(tx, job.id, total, what, content)
        if beside is not None:
            beside(tx, job.id)
    return Accepted(job.id, new=True)


def _each(files: Iterator[File], content: Content, passing: Sequence[str]) -> Iterator[File]:
    for file in files:
        content.add(_without(file, passing))
        yield file


def _without(stored: Mapping[str, Any], passing: Sequence[str]) -> dict[str, Any]:
    """Without what says nothing of what is in it: when it was written, and who chose columns."""
    return {name: value for name, value in stored.items() if name not in passing}


def submit_documents(
    database: Database, request: Request, given: Iterable[Document], chosen: Chosen | None = None
) -> Accepted:
    """Submit documents that are kept in SQL. Reads `given` once. `chosen` are the columns that
    they came from, if from any."""
    content = request.content()
    read = _read(given, content)
    with database.transaction() as tx:
        locks.may_idle(tx)
        if earlier := _earlier(tx, request):
            for _ in read:
                pass
            return _same(request, earlier, content)
        job = request.new_job(inline.describe(chosen))
        jobs.add(tx, job)
        total = _add_shards(tx, job.id, _stored(tx, job.id, read, shard_sizes(request.shard_size)))
        _finish(tx, job.id, total, "the input", content)
    return Accepted(job.id, new=True)


def _earlier(tx: Transaction, request: Request) -> Earlier | None:
    key = request.idempotency_key
    return jobs.under_key(tx, key, request.owner) if key else None


def _same(request: Request, earlier: Earlier, content: Content) -> Accepted:
    if earlier.content_sha256 != content.sha256():
        raise KeyTaken(
            f"idempotency key {request.idempotency_key!r} belongs to {earlier.id}, which has "
            "other documents or parameters; choose another key"
        )
    return Accepted(earlier.id, new=False)


def _read(given: Iterable[Document], content: Content) -> Iterator[Document]:
    for document in given:
        error = document.error and document.error.code
        content.add((document.text, document.id, document.reference, error))
        yield document


def from_python(given: object, columns: Columns) -> Iterator[Document]:
    """Strings and mappings as documents. Raises UsageError for anything else."""
    for index, item in enumerate(many(given)):
        if isinstance(item, str):
            yield from_text(index, item)
        elif isinstance(item, Mapping):
            yield from_mapping(index, item, columns)
        else:
            kind = type(item).__name__
            raise UsageError(f"document {index} is {kind}; give strings, or mappings with a text")


def many(given: object) -> Iterable[object]:
    """Raises UsageError where it is one thing: a string is iterable too, as its characters, and a
    mapping as its keys."""
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        kind = type(given).__name__
        raise UsageError(
            f"documents: got one {kind}; give a list of texts, a pathlib.Path to a file, or a "
            "dataset as 'ORG/NAME'"
        )
    return given


def _stored(
    tx: Transaction, job_id: str, given: Iterable[Document], sizes: Iterator[int]
) -> Iterator[NewShard]:
    """Stores documents as they are read, and says which shard they make."""
    remaining = iter(given)
    while batch := list(islice(remaining, next(sizes))):
        documents.add(tx, job_id, batch)
        yield NewShard(batch[0].index, batch[-1].index + 1)


def _add_shards(tx: Transaction, job_id: str, planned: Iterator[NewShard]) -> int:
    """Returns how many documents they hold."""
    number = total = 0
    while several := list(islice(planned, _SHARDS_AT_ONCE)):
        queueing.add(tx, job_id, number, several)
        number += len(several)
        total = several[-1].stop
    return total


def _finish(tx: Transaction, job_id: str, total: int, source: str, content: Content) -> None:
    if not total:
        raise UsageError(f"{source} holds no document; it is empty, or blank lines alone")
    jobs.finish_adding(tx, job_id, total, content.sha256())


def check_priority(value: int) -> None:
    """Raises UsageError."""
    if not _is_whole(value) or abs(value) > _MOST_PRIORITY:
        how = f"write a whole number from -{_MOST_PRIORITY} to {_MOST_PRIORITY}"
        raise UsageError(f"priority {value!r}: {how}")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_text(name: str, value: object, *, needed: bool) -> None:
    if value is None and not needed:
        return
    if not isinstance(value, str):
        raise UsageError(f"{name}: {value!r} is not a text")
    if storable(value) != value:
        raise UsageError(f"{storable(name)}: holds NUL or is not UTF-8; SQL can not keep it")


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UsageError(f"{name} {value!r}: choose one of {', '.join(known)}")

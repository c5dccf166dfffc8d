"""A job and a shard as a worker sees them, read from SQL in one piece."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import repeat
from typing import Any, Protocol

from jobs.parameters import Effective

SHARD_SIZE = 256
"""Documents at most, where a submission names no other."""
_FIRST_SIZE = 8
_OF_EACH_SIZE = 4


def shard_sizes(asked: int | None) -> Iterator[int]:
    """Documents of one shard after the other: as many as asked for, else few at first and then
    more, so that a small job, too, has work for several workers."""
    if asked is not None:
        yield from repeat(asked)
    size = _FIRST_SIZE
    while size < SHARD_SIZE:
        yield from repeat(size, _OF_EACH_SIZE)
        size *= 2
    yield from repeat(SHARD_SIZE)


@dataclass(frozen=True, slots=True)
class ModelKey:
    """Jobs that share it can be done by one loaded model."""

    model: str
    revision: str
    engine: str
    dtype: str | None


@dataclass(frozen=True, slots=True)
class NewShard:
    """Documents `start <= index < stop`, and where their source finds them."""

    start: int
    stop: int
    position: dict[str, Any] | None = None


class Extent(Protocol):
    """Documents of one job that lie together, and where their source finds them."""

    @property
    def job_id(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def stop(self) -> int: ...
    @property
    def position(self) -> dict[str, Any] | None: ...
    @property
    def source(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Sample:
    """A shard to look into, without a lease."""

    job_id: str
    start: int
    stop: int
    position: dict[str, Any] | None
    source: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Validation:
    """A lease on a job that is `validating`."""

    job_id: str
    attempt: int
    deaths: int
    tries: int
    model: str
    requested: dict[str, Any]
    source: dict[str, Any]
    dry_run: bool
    total: int
    shard_size: int
    run_window: str | None


@dataclass(frozen=True, slots=True)
class Shard:
    """A lease on a shard, with what its job says of how to do it."""

    id: int
    job_id: str
    number: int
    start: int
    stop: int
    position: dict[str, Any] | None
    attempt: int
    deaths: int
    false_starts: int
    vanished: int
    alone: bool
    """Whether it is done by itself, because a worker died with it in hand."""
    suspects: dict[int, int]
    """Documents that run last and alone, and how often a worker died of each one alone."""
    tries: int
    source: dict[str, Any]
    key: ModelKey
    effective: Effective
    fair_group: str
    priority: int
    reuse: bool = True
    """Whether its documents may share a summary with others that have the same text."""


@dataclass(frozen=True, slots=True)
class Row:
    """One document's outcome. `summary` is None exactly where `error_code` is not."""

    index: int
    id: str | None
    summary: str | None
    input_tokens: int
    output_tokens: int
    truncated: bool
    finish_reason: str | None
    error_code: str | None
    error_message: str | None
    reference: str | None
    depth: int = 0
    """How many times summaries of its parts were summarized again; 0 where it has no parts."""
    spans: Sequence[tuple[int, int]] | None = None
    """Where its parts lie in it, as characters `start <= place < stop`; None where it has none."""
    digest: str | None = None
    """Of the text and of all that makes a summary of it (`worker.same_text`): a summary with the
    same one is the same. None where it is not to be given to another document."""
    reused: bool = False
    """Whether it was made for another document: the model had nothing to do for it. No column."""


@dataclass(frozen=True, slots=True)
class Part:
    """The summary of one part of a document that is done in parts."""

    index: int
    depth: int
    """0 for a part of the document, 1 for one of the summaries of these, and so on."""
    part: int
    start: int
    stop: int
    """Its characters in what it is a part of."""
    summary: str
    input_tokens: int
    output_tokens: int
    truncated: bool


@dataclass(frozen=True, slots=True)
class Batching:
    """How the model was kept busy, in sums. Of a batch that several shards share, each has its
    share by documents."""

    generating_seconds: float = 0.0
    waiting_seconds: float = 0.0
    """In which the model was loaded and had nothing to do."""
    batches: float = 0.0
    batch_fill: float = 0.0
    """Of each batch the share that it filled of what bounds it."""
    batched_tokens: int = 0
    """Input tokens that went through the model, padding included."""
    padding_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Portion:
    """Rows of one shard, and parts of its documents, to be stored together; with `done` they are
    its last."""

    shard: Shard
    rows: Sequence[Row]
    done: bool = False
    batching: Batching = Batching()
    parts: Sequence[Part] = ()


@dataclass(frozen=True, slots=True)
class NewJob:
    """One submission, before it has any document."""

    id: str
    name: str | None
    model: str
    requested: dict[str, Any]
    source: dict[str, Any]
    shard_size: int
    labels: dict[str, str] = field(default_factory=dict)
    priority: int = 0
    dry_run: bool = False
    idempotency_key: str | None = None
    deadline: datetime | None = None
    run_window: str | None = None
    interval: tuple[datetime, datetime] | None = None
    """The interval of its window that is open, or opens next."""
    fair_group: str = ""
    max_error_rate: float | None = None
    owner: str | None = None
    """The token that it was submitted with."""
    webhook: str | None = None
    """A URL that is told when it is over."""

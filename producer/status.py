"""A job as users see it: the same object from the command line, Python and HTTP."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from jobs.allowed_sources import without_secrets
from jobs.job import Batching
from jobs.parameters import Effective
from jobs.states import JOB_OVER, JobStatus
from jobs.store.jobs import JobRecord
from producer import forecast
from producer.forecast import Eta


@dataclass(frozen=True, slots=True)
class Counts:
    """Documents of a job. `total` is None until the source was cut into shards."""

    total: int | None
    completed: int
    failed: int
    pending: int | None
    reused: int


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, summed over the documents that are over."""

    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Throughput:
    """Averages since the job started; tokens are input and output together."""

    documents_per_second: float
    tokens_per_second: float


@dataclass(frozen=True, slots=True)
class BatchingView:
    """How the model was kept busy. Shares are of 1."""

    padding_share: float | None
    """Of the tokens that went through the model; None where nothing is padded."""
    batch_fill: float
    """What batches held of what they might have, on average."""
    generating_seconds: float
    waiting_seconds: float
    """In which the model was loaded and had nothing to do, between its batches."""


@dataclass(frozen=True, slots=True)
class WebhookView:
    """Who is told when the job is over, and whether that was done."""

    url: str
    """Without its query."""
    state: Literal["waiting", "pending", "delivered", "given_up"]
    """`waiting` for the job's end."""
    tries: int
    next_try_at: int | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class Span:
    """From `low` to `high`."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Actual:
    """What a job took that is over."""

    seconds: float
    """From when it was validated, whatever kept it waiting included."""
    device_hours: float
    """Of all workers together, the loading of the model left out."""


@dataclass(frozen=True, slots=True)
class ForecastView:
    """How long a job would take, as it was said when it was validated."""

    seconds: Span | None
    """With so many workers to itself, in the hours of its window; None where these mean nothing to
    the worker that validated it."""
    device_hours: Span
    """Of all workers together."""
    documents: int
    """Of this model, which it rests on."""
    same_parameters: bool
    """Whether they were made with the same parameters."""
    workers: int
    actual: Actual | None
    """None until the job is completed, and where nothing was done: of one that was cut off it
    would say nothing."""


@dataclass(frozen=True, slots=True)
class JobStatusView:
    """A job as it stands. Times are unix seconds."""

    id: str
    object: Literal["job"]
    name: str | None
    status: str
    model: str
    model_revision: str | None
    engine: str | None
    dtype: str | None
    fallback: str | None
    """Why not by the fastest engine, where it is not."""
    source: dict[str, Any]
    parameters: dict[str, Any] | None
    prompt: str | None
    labels: dict[str, str]
    priority: int
    window: str | None
    deadline: int | None
    max_error_rate: float | None
    dry_run: bool
    counts: Counts
    usage: Usage
    throughput: Throughput | None
    batching: BatchingView | None
    """None until there was a batch."""
    eta_seconds: Eta | None
    forecast: ForecastView | None
    """None until it is validated, and where its model had done nothing here."""
    created_at: int
    started_at: int | None
    finished_at: int | None
    error: dict[str, str] | None
    note: dict[str, Any] | None
    """The last error that may pass (`code`, `message`), and its `next_try_at`."""
    report: dict[str, Any] | None
    """What a dry run found."""
    webhook: WebhookView | None

    @property
    def over(self) -> bool:
        return self.status in JOB_OVER

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class SubmissionView:
    """A job as it was asked for, and as it was settled: all that a card says of how it was made
    (`producer.card.Made`)."""

    source: dict[str, Any]
    model: str
    model_revision: str | None
    engine: str | None
    dtype: str | None
    requested: dict[str, Any]
    parameters: dict[str, Any] | None
    total: int | None


# Of a source. Where several files are, what they were found by stands for all of them.
_PUBLIC = (
    "kind", "path", "url", "pattern", "dataset", "config", "split", "revision", "commit",
    "converted", "hub_file", "files", "columns", "guessed",
)  # fmt: skip


def view(job: JobRecord, workers: int) -> JobStatusView:
    """`workers` is how many are alive: without one there is no estimate."""
    done = job.completed + job.failed
    pending = None if job.total is None else job.total - done
    return JobStatusView(
        id=job.id,
        object="job",
        name=job.name,
        status=job.status.value,
        model=job.model,
        model_revision=job.model_revision,
        engine=job.engine,
        dtype=job.dtype,
        fallback=job.fallback,
        source=public_source(job.source),
        parameters=_parameters(job),
        prompt=(job.parameters or job.requested).get("prompt"),
        labels=job.labels,
        priority=job.priority,
        window=job.run_window,
        deadline=None if job.deadline is None else _unix(job.deadline),
        max_error_rate=job.max_error_rate,
        dry_run=job.dry_run,
        counts=Counts(job.total, job.completed, job.failed, pending, job.reused),
        usage=Usage(job.input_tokens, job.output_tokens),
        throughput=_throughput(job, done),
        batching=_batching(job.batching),
        eta_seconds=forecast.eta(job, workers),
        forecast=_forecast(job),
        created_at=_unix(job.created_at),
        started_at=None if job.started_at is None else _unix(job.started_at),
        finished_at=None if job.finished_at is None else _unix(job.finished_at),
        error=public_words(job.source, job.error),
        note=public_words(job.source, job.note),
        report=job.report,
        webhook=_webhook(job),
    )


def exit_code(job: JobStatusView) -> int:
    """What `wait` ends with: 0 done, 1 not done, 3 done but for some documents."""
    if job.status != JobStatus.COMPLETED:
        return 1
    return 3 if job.counts.failed else 0


def _parameters(job: JobRecord) -> dict[str, Any] | None:
    """The settled parameters as one flat object; null until they are settled."""
    return None if job.parameters is None else Effective(**job.parameters).flat()


def public_source(source: dict[str, Any]) -> dict[str, Any]:
    if "upload" in source:
        # Where the server keeps it is nobody's business.
        file = {"file": source["upload"]["id"], "filename": source["upload"]["name"]}
        known = ("kind", "columns", "guessed")
        return {**{n: source[n] for n in known if n in source}, **file}
    several = "pattern" in source or "config" in source
    left_out = {"path", "url", "hub_file"} if several else {"pattern"}
    return {n: source[n] for n in _PUBLIC if n in source and n not in left_out}


def _throughput(job: JobRecord, done: int) -> Throughput | None:
    if not job.seconds or not done:
        return None
    tokens = job.input_tokens + job.output_tokens
    return Throughput(_rounded(done / job.seconds), _rounded(tokens / job.seconds))


def _batching(sums: Batching) -> BatchingView | None:
    if not sums.batches:
        return None
    tokens = sums.batched_tokens
    return BatchingView(
        padding_share=_rounded(sums.padding_tokens / tokens) if tokens else None,
        batch_fill=_rounded(sums.batch_fill / sums.batches),
        generating_seconds=_rounded(sums.generating_seconds),
        waiting_seconds=_rounded(sums.waiting_seconds),
    )


def _forecast(job: JobRecord) -> ForecastView | None:
    said = job.forecast
    if said is None:
        return None
    return ForecastView(
        seconds=said["seconds"] and _span(said["seconds"]),
        device_hours=_span(said["device_hours"]),
        documents=said["documents"],
        same_parameters=said["same_parameters"],
        workers=said["workers"],
        actual=_actual(job),
    )


def _span(said: dict[str, float]) -> Span:
    return Span(_rounded(said["low"]), _rounded(said["high"]))


def _actual(job: JobRecord) -> Actual | None:
    if job.status != JobStatus.COMPLETED or job.seconds is None or not job.completed:
        return None
    busy = job.batching.generating_seconds + job.batching.waiting_seconds
    return Actual(_rounded(job.seconds), _rounded(busy / 3600))


def _webhook(job: JobRecord) -> WebhookView | None:
    if job.webhook is None:
        return None
    url = without_secrets(job.webhook)
    if job.delivery is None or job.status not in JOB_OVER:
        return WebhookView(url, "waiting", 0, None, None)
    return WebhookView(url, **job.delivery)


def _rounded(number: float) -> float:
    """To six digits, wherever they lie: a large model may take hours for a document."""
    return float(f"{number:.6g}")


def _unix(time: datetime) -> int:
    return int(time.timestamp())


def public_words(source: dict[str, Any], said: dict[str, Any] | None) -> dict[str, Any] | None:
    """What was said of a job's source, without where an uploaded file lies."""
    if said is None or "upload" not in source:
        return said
    place = source.get("path") or source.get("url") or ""
    return {**said, "message": said["message"].replace(place, source["upload"]["id"])}

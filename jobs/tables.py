"""The SQL tables. What they hold is the truth; `migrations/` brings a database to this shape.

Counts of a running job are sums over its shards, never a tally of their own;
the job's own columns are filled once, when it is over.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import JSONB as _JSONB

from jobs.states import JobStatus, ShardState

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


# Python's None is SQL's NULL here, not JSON's null.
JSONB = _JSONB(none_as_null=True)


def _values(states: type[JobStatus] | type[ShardState]) -> str:
    return ", ".join(f"'{state}'" for state in states)


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=text("0"))


def _batching() -> list[Column[Any]]:
    """See `jobs.job.Batching`."""
    doubles = ("generating_seconds", "waiting_seconds", "batches", "batch_fill")
    return [
        *(Column(name, Double, nullable=False, server_default=text("0")) for name in doubles),
        _count("batched_tokens"),
        _count("padding_tokens"),
    ]


def _lease() -> list[Column[object]]:
    """A worker's time-limited right to the row; `attempt` is the fencing token."""
    return [
        Column("attempt", Integer, nullable=False, server_default=text("0")),
        Column("leased_by", Text),
        Column("leased_until", DateTime(timezone=True)),
        # When its message was last sent; NULL while none is on its way.
        Column("queued_at", DateTime(timezone=True)),
        # Not before this time, after an error that may pass.
        Column("next_attempt_at", DateTime(timezone=True)),
        Column("tries", Integer, nullable=False, server_default=text("0")),
    ]


# A query uses a partial index only where it states the same condition in the same words.
_UNFINISHED = "state NOT IN ('cancelled', 'done')"
_FAILED = "error_code IS NOT NULL"
_HAS_DIGEST = "digest IS NOT NULL"
# Somebody had a lease of it. The others have nothing to add to their job's sums.
_BEGUN = "attempt > 0"
# A job that is over, and of which something was done.
_WAS_DONE = "finished_at IS NOT NULL AND completed > 0"

# Who may ask over HTTP. Of the token itself only its digest is kept.
tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column(
        "created_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()
    ),
    Column("revoked_at", DateTime(timezone=True)),
    UniqueConstraint("digest"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text),
    Column("status", Text, nullable=False),
    # What was asked for.
    Column("model", Text, nullable=False),
    Column("requested", JSONB, nullable=False),
    Column("source", JSONB, nullable=False),
    Column("labels", JSONB, nullable=False, server_default=text("'{}'")),
    Column("priority", Integer, nullable=False, server_default=text("0")),
    Column("shard_size", Integer, nullable=False),
    # Ends with a report once it is validated.
    Column("dry_run", Boolean, nullable=False, server_default=text("false")),
    # The token that it was submitted with; NULL for one that came from a machine of the mill.
    Column("owner", Text, ForeignKey("tokens.id")),
    # A URL that is told when it is over.
    Column("webhook", Text),
    # A second submission by the same owner under the same key is this job, if it has the same
    # content.
    Column("idempotency_key", Text),
    Column("content_sha256", Text),
    # When, and beside whom, it may run.
    Column("deadline", DateTime(timezone=True)),
    Column("run_window", Text),
    # The interval of its window that is open, or opens next.
    Column("opens_at", DateTime(timezone=True)),
    Column("closes_at", DateTime(timezone=True)),
    Column("fair_group", Text, nullable=False, server_default=text("''")),
    # More failed documents than this share of all end the job.
    Column("max_error_rate", Double),
    # What was settled while validating; NULL until then.
    Column("model_revision", Text),
    Column("engine", Text),
    Column("dtype", Text),
    # Why not by the fastest engine, where it is not.
    Column("fallback", Text),
    Column("parameters", JSONB),
    Column("report", JSONB),
    # How long it will take (worker/forecasting.py); NULL where this model has done nothing here.
    Column("forecast", JSONB),
    # NULL until the source was cut into shards.
    Column("total", BigInteger),
    # Filled once, when the job is over.
    _count("completed"),
    _count("failed"),
    _count("reused"),
    _count("input_tokens"),
    _count("output_tokens"),
    *_batching(),
    # Why the job fails; set as soon as that is known, while shards may still run.
    Column("error", JSONB),
    # The last error that may pass, and when it is tried again; NULL once it has passed.
    Column("note", JSONB),
    Column(
        "created_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()
    ),
    Column("started_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
    *_lease(),
    # How often a worker's pool child died while it looked at the model.
    Column("deaths", Integer, nullable=False, server_default=text("0")),
    CheckConstraint(f"status IN ({_values(JobStatus)})", name="status"),
    CheckConstraint("num_nulls(run_window, opens_at, closes_at) IN (0, 3)", name="run_window"),
    Index(
        "uq_jobs_owner_idempotency_key",
        text("coalesce(owner, '')"),
        "idempotency_key",
        unique=True,
    ),
    Index("ix_jobs_created_at_id", "created_at", "id"),
    Index("ix_jobs_owner_created_at_id", "owner", "created_at", "id"),
    Index("ix_jobs_status_created_at", "status", "created_at"),
    # The jobs that say how fast a model is (jobs/store/speeds.py).
    Index(
        "ix_jobs_done",
        "model",
        "model_revision",
        "finished_at",
        postgresql_where=text(_WAS_DONE),
    ),
)

JOB_WAS_DONE = text("jobs.finished_at IS NOT NULL AND jobs.completed > 0")

shards = Table(
    "shards",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    # Indexes of its documents: start <= index < stop.
    Column("start", BigInteger, nullable=False),
    Column("stop", BigInteger, nullable=False),
    # Where a source finds it without reading what comes before; NULL for inline documents.
    Column("position", JSONB),
    Column("state", Text, nullable=False, server_default=ShardState.PENDING.value),
    *_lease(),
    # How often a worker died with several documents in hand: batches get smaller by it. What
    # else is done does not lower it, only a retry; the next batch of that size is as large.
    Column("deaths", Integer, nullable=False, server_default=text("0")),
    # How often in a row a worker died before it had begun a batch.
    Column("false_starts", Integer, nullable=False, server_default=text("0")),
    # And how often one was gone without a word before that, with its parent.
    Column("vanished", Integer, nullable=False, server_default=text("0")),
    # Documents that were in hand when a worker died, which run last and alone:
    # {"index": how often a worker died of it alone}.
    Column("suspects", JSONB, nullable=False, server_default=text("'{}'")),
    # The documents being generated right now: who dies, dies of these.
    Column("next_batch", ARRAY(BigInteger), nullable=False, server_default=text("'{}'")),
    # How many documents the batch has that it was last told of, those of other shards among them;
    # before the first: 0 where its worker had nothing else in hand when it leased it, -1 where it
    # had, and read this one beside it.
    Column("batch_size", Integer, nullable=False, server_default=text("0")),
    # A worker died with it in hand: it is done by itself, so that it is known what kills.
    Column("alone", Boolean, nullable=False, server_default=text("false")),
    _count("completed"),
    _count("failed"),
    _count("reused"),
    _count("input_tokens"),
    _count("output_tokens"),
    # How long workers were at it, without the loading of the model.
    Column("busy_seconds", Double, nullable=False, server_default=text("0")),
    *_batching(),
    Column("started_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
    UniqueConstraint("job_id", "number"),
    CheckConstraint(f"state IN ({_values(ShardState)})", name="state"),
    CheckConstraint("start <= stop", name="range"),
    Index(
        "ix_shards_unfinished",
        "job_id",
        "number",
        postgresql_where=text(_UNFINISHED),
    ),
    # All that is summed for `status` (jobs/store/jobs.py), so that no row has to be looked at.
    Index(
        "ix_shards_begun",
        "job_id",
        postgresql_include=[
            *("state", "completed", "failed", "reused", "input_tokens", "output_tokens"),
            *("busy_seconds", *(column.name for column in _batching())),
        ],
        postgresql_where=text(_BEGUN),
    ),
    Index("ix_shards_running", "leased_until", postgresql_where=text("state = 'running'")),
    Index("ix_shards_queued", "queued_at", postgresql_where=text("state = 'queued'")),
)

SHARD_BEGUN = text(f"shards.{_BEGUN}")
SHARD_UNFINISHED = text(f"shards.{_UNFINISHED}")

documents = Table(
    "documents",
    metadata,
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("index", BigInteger, nullable=False),
    Column("id", Text),
    Column("text", Text),
    Column("reference", Text),
    # Set where the input line could not be used; `text` is NULL then.
    Column("error", JSONB),
    PrimaryKeyConstraint("job_id", "index"),
    CheckConstraint("(text IS NULL) <> (error IS NULL)", name="text_or_error"),
)

summaries = Table(
    "summaries",
    metadata,
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("index", BigInteger, nullable=False),
    Column("id", Text),
    Column("summary", Text),
    Column("input_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),
    Column("truncated", Boolean, nullable=False),
    Column("finish_reason", Text),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("reference", Text),
    # Of a document that was done in parts; see `jobs.job.Row`.
    Column("depth", Integer, nullable=False, server_default=text("0")),
    Column("spans", JSONB),
    # Of the text and all that decides its summary; NULL where others may not have it.
    Column("digest", Uuid(as_uuid=False)),
    Column(
        "created_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()
    ),
    PrimaryKeyConstraint("job_id", "index"),
    CheckConstraint("(summary IS NULL) <> (error_code IS NULL)", name="summary_or_error"),
    Index("ix_summaries_failed", "job_id", "error_code", postgresql_where=text(_FAILED)),
    Index("ix_summaries_digest", "digest", postgresql_where=text(_HAS_DIGEST)),
)

SUMMARY_FAILED = text(f"summaries.{_FAILED}")
SUMMARY_HAS_DIGEST = text(f"summaries.{_HAS_DIGEST}")

# Summaries of parts of documents that are not over: see `jobs.job.Part`.
parts = Table(
    "parts",
    metadata,
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("index", BigInteger, nullable=False),
    Column("depth", Integer, nullable=False),
    Column("part", Integer, nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("stop", BigInteger, nullable=False),
    Column("summary", Text, nullable=False),
    Column("input_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),
    Column("truncated", Boolean, nullable=False),
    PrimaryKeyConstraint("job_id", "index", "depth", "part"),
)

# What happened to a job: each status that it took. A trigger of the database writes it down
# (migration 0010), whoever makes the transition.
events = Table(
    "events",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("status", Text, nullable=False),
    Column(
        "created_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()
    ),
    Index("ix_events_job_id_id", "job_id", "id"),
)

# What is owed to the webhooks of jobs that are over: by the trigger that writes events (migration
# 0012), once for each time that a job ends.
deliveries = Table(
    "deliveries",
    metadata,
    Column(
        "event_id",
        BigInteger,
        ForeignKey("events.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("state", Text, nullable=False, server_default="pending"),
    # What is sent, the same each time; NULL until it is sent first.
    Column("body", Text),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    # While it is being sent, when whoever sends it is taken for dead.
    Column("next_attempt_at", DateTime(timezone=True), server_default=func.clock_timestamp()),
    Column("last_error", Text),
    CheckConstraint("state IN ('pending', 'delivered', 'given_up')", name="state"),
    Index("ix_deliveries_job_id_event_id", "job_id", "event_id"),
    Index(
        "ix_deliveries_pending",
        "tries",
        "next_attempt_at",
        postgresql_where=text("state = 'pending'"),
    ),
)

DELIVERY_PENDING = text("deliveries.state = 'pending'")

# What this mill alone knows, made when it is first needed.
secrets = Table(
    "secrets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

# What was uploaded. The content lies below the setting `uploads`.
files = Table(
    "files",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner", Text, ForeignKey("tokens.id")),
    Column("purpose", Text, nullable=False),
    Column("filename", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("location", Text, nullable=False),
    Column(
        "created_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()
    ),
    Index("ix_files_created_at_id", "created_at", "id"),
)

# Jobs that were made as OpenAI's clients make them; a file that was refused has no job.
batches = Table(
    "batches",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner", Text, ForeignKey("tokens.id")),
    Column("job_id", Text, ForeignKey("jobs.id", ondelete="CASCADE")),
    # Not a key of `files`: a file may go before its batch.
    Column("input_file_id", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("model", Text),
    Column("completion_window", Text, nullable=False),
    Column("metadata", JSONB),
    # What is wrong with its file, by line.
    Column("errors", JSONB),
    # Which of `output` and `error`, the files that it gives, were deleted.
    Column("deleted", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    # Of these files in bytes, once that was asked for; and the end of the job that they are of.
    Column("sizes", JSONB),
    Column(
        "created_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()
    ),
    UniqueConstraint("job_id"),
    CheckConstraint("(job_id IS NULL) <> (errors IS NULL)", name="job_or_errors"),
    Index("ix_batches_created_at_id", "created_at", "id"),
    Index("ix_batches_input_file_id", "input_file_id"),
)

# How many tokens each group of jobs was served, for fairness between them (jobs/store/fairness.py).
fair_shares = Table(
    "fair_shares",
    metadata,
    Column("fair_group", Text, primary_key=True),
    _count("tokens"),
)

workers = Table(
    "workers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("device", Text),
    Column("version", Text, nullable=False),
    Column(
        "started_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()
    ),
    Column(
        "seen_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()
    ),
    # Seconds by which its clock is ahead of the database's, the way of its message included.
    Column("clock_ahead", Double, nullable=False, server_default=text("0")),
    CheckConstraint("role IN ('worker', 'dispatcher')", name="role"),
)

"""An index that holds all that is summed over a job's shards while it runs."""

from alembic import op

revision = "0006"
down_revision = "0005"

_SUMMED = ("completed", "failed", "reused", "input_tokens", "output_tokens", "busy_seconds")
_BATCHING = ("generating_seconds", "waiting_seconds", "batches", "batch_fill")
_TOKENS = ("batched_tokens", "padding_tokens")


def upgrade() -> None:
    op.create_index(
        "ix_shards_begun",
        "shards",
        ["job_id"],
        postgresql_include=["state", *_SUMMED, *_BATCHING, *_TOKENS],
        postgresql_where="attempt > 0",
    )


def downgrade() -> None:
    op.drop_index("ix_shards_begun", "shards")

"""Batches as OpenAI's clients make them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "batches",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, sa.ForeignKey("tokens.id")),
        sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE")),
        sa.Column("input_file_id", sa.Text, nullable=False),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("model", sa.Text),
        sa.Column("completion_window", sa.Text, nullable=False),
        sa.Column("metadata", postgresql.JSONB),
        sa.Column("errors", postgresql.JSONB),
        sa.Column("deleted", postgresql.ARRAY(sa.Text), nullable=False, server_default="{}"),
        sa.Column("sizes", postgresql.JSONB),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.func.clock_timestamp(),
        ),
        sa.UniqueConstraint("job_id"),
        sa.CheckConstraint("(job_id IS NULL) <> (errors IS NULL)", name="job_or_errors"),
    )
    op.create_index("ix_batches_created_at_id", "batches", ["created_at", "id"])
    op.create_index("ix_batches_input_file_id", "batches", ["input_file_id"])


def downgrade() -> None:
    op.drop_table("batches")

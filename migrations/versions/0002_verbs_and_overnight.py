"""Dry runs, idempotency keys, deadlines, run windows, fairness, error rates, failures by code,
notes of what is tried again."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column(
        "jobs", sa.Column("dry_run", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.add_column("jobs", sa.Column("idempotency_key", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("content_sha256", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("deadline", sa.DateTime(timezone=True), nullable=True))
    op.add_column("jobs", sa.Column("run_window", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("opens_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("jobs", sa.Column("closes_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "jobs", sa.Column("fair_group", sa.Text(), server_default=sa.text("''"), nullable=False)
    )
    op.add_column("jobs", sa.Column("max_error_rate", sa.Double(), nullable=True))
    op.add_column(
        "jobs", sa.Column("report", postgresql.JSONB(astext_type=sa.Text()), nullable=True)
    )
    op.add_column("jobs", sa.Column("note", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.create_unique_constraint(op.f("uq_jobs_idempotency_key"), "jobs", ["idempotency_key"])
    op.create_check_constraint(
        op.f("ck_jobs_run_window"),
        "jobs",
        "num_nulls(run_window, opens_at, closes_at) IN (0, 3)",
    )
    op.add_column(
        "shards",
        sa.Column("busy_seconds", sa.Double(), server_default=sa.text("0"), nullable=False),
    )
    op.create_index(
        "ix_summaries_failed",
        "summaries",
        ["job_id", "error_code"],
        postgresql_where=sa.text("error_code IS NOT NULL"),
    )
    op.create_table(
        "fair_shares",
        sa.Column("fair_group", sa.Text(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("fair_group", name=op.f("pk_fair_shares")),
    )
    # The group of every job that was submitted before.
    op.execute("INSERT INTO fair_shares (fair_group) VALUES ('')")
    op.add_column(
        "workers",
        sa.Column("clock_ahead", sa.Double(), server_default=sa.text("0"), nullable=False),
    )


def downgrade() -> None:
    op.drop_column("workers", "clock_ahead")
    op.drop_table("fair_shares")
    op.drop_index("ix_summaries_failed", table_name="summaries")
    op.drop_column("shards", "busy_seconds")
    op.drop_constraint(op.f("ck_jobs_run_window"), "jobs", type_="check")
    op.drop_constraint(op.f("uq_jobs_idempotency_key"), "jobs", type_="unique")
    for column in (
        "note",
        "report",
        "max_error_rate",
        "fair_group",
        "closes_at",
        "opens_at",
        "run_window",
        "deadline",
        "content_sha256",
        "idempotency_key",
        "dry_run",
    ):
        op.drop_column("jobs", column)

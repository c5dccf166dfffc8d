"""Webhooks: where a job's end is told, and whether it was."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_NOW = sa.func.clock_timestamp()

# Whoever ends a job owes its webhook by the same transaction.
_WRITE_DOWN = """
CREATE OR REPLACE FUNCTION gistmill_write_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    written bigint;
BEGIN
    IF TG_OP = 'INSERT' OR NEW.status <> OLD.status THEN
        INSERT INTO events (job_id, status) VALUES (NEW.id, NEW.status) RETURNING id INTO written;
        IF NEW.webhook IS NOT NULL
            AND NEW.status IN ('completed', 'failed', 'cancelled', 'expired') THEN
            INSERT INTO deliveries (event_id, job_id) VALUES (written, NEW.id);
        END IF;
    END IF;
    RETURN NULL;
END $$;
"""
_WRITE_DOWN_AS_BEFORE = """
CREATE OR REPLACE FUNCTION gistmill_write_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' OR NEW.status <> OLD.status THEN
        INSERT INTO events (job_id, status) VALUES (NEW.id, NEW.status);
    END IF;
    RETURN NULL;
END $$;
"""


def upgrade() -> None:
    op.add_column("jobs", sa.Column("webhook", sa.Text))
    op.create_table(
        "deliveries",
        sa.Column(
            "event_id",
            sa.BigInteger,
            sa.ForeignKey("events.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("state", sa.Text, nullable=False, server_default="pending"),
        sa.Column("body", sa.Text),
        sa.Column("tries", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), server_default=_NOW),
        sa.Column("last_error", sa.Text),
        sa.CheckConstraint("state IN ('pending', 'delivered', 'given_up')", name="state"),
    )
    op.create_index("ix_deliveries_job_id_event_id", "deliveries", ["job_id", "event_id"])
    op.create_index(
        "ix_deliveries_pending",
        "deliveries",
        ["tries", "next_attempt_at"],
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_table(
        "secrets",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.execute(_WRITE_DOWN)


def downgrade() -> None:
    op.execute(_WRITE_DOWN_AS_BEFORE)
    op.drop_table("secrets")
    op.drop_table("deliveries")
    op.drop_column("jobs", "webhook")

"""Tokens, who owns a job, uploaded files, and what happened to a job."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"

_NOW = sa.func.clock_timestamp()

# A transition may be made by a submission, a worker, a dispatcher or a person: here none is missed.
_WRITE_DOWN = """
CREATE FUNCTION gistmill_write_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' OR NEW.status <> OLD.status THEN
        INSERT INTO events (job_id, status) VALUES (NEW.id, NEW.status);
    END IF;
    RETURN NULL;
END $$;
"""
_ON_CHANGE = """
CREATE TRIGGER gistmill_write_event AFTER INSERT OR UPDATE OF status ON jobs
FOR EACH ROW EXECUTE FUNCTION gistmill_write_event();
"""


def upgrade() -> None:
    op.create_table(
        "tokens",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=_NOW),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.UniqueConstraint("digest"),
    )
    op.add_column("jobs", sa.Column("owner", sa.Text, sa.ForeignKey("tokens.id")))
    op.drop_constraint("uq_jobs_idempotency_key", "jobs", type_="unique")
    op.create_index(
        "uq_jobs_owner_idempotency_key",
        "jobs",
        [sa.text("coalesce(owner, '')"), "idempotency_key"],
        unique=True,
    )
    op.create_index("ix_jobs_owner_created_at_id", "jobs", ["owner", "created_at", "id"])
    op.create_table(
        "files",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, sa.ForeignKey("tokens.id")),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("location", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=_NOW),
    )
    op.create_index("ix_files_created_at_id", "files", ["created_at", "id"])
    op.create_table(
        "events",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=_NOW),
    )
    op.create_index("ix_events_job_id_id", "events", ["job_id", "id"])
    op.execute(_WRITE_DOWN)
    op.execute(_ON_CHANGE)


def downgrade() -> None:
    op.execute("DROP TRIGGER gistmill_write_event ON jobs")
    op.execute("DROP FUNCTION gistmill_write_event()")
    op.drop_table("events")
    op.drop_table("files")
    op.drop_index("ix_jobs_owner_created_at_id", "jobs")
    op.drop_index("uq_jobs_owner_idempotency_key", "jobs")
    # Two owners may have the same key.
    op.execute("UPDATE jobs SET idempotency_key = NULL WHERE owner IS NOT NULL")
    op.drop_column("jobs", "owner")
    op.create_unique_constraint("uq_jobs_idempotency_key", "jobs", ["idempotency_key"])
    op.drop_table("tokens")

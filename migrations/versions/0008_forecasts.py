"""How long a job was forecast to take, and which jobs say how fast a model is."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("forecast", postgresql.JSONB()))
    op.create_index(
        "ix_jobs_done",
        "jobs",
        ["model", "model_revision", "finished_at"],
        postgresql_where="finished_at IS NOT NULL AND completed > 0",
    )


def downgrade() -> None:
    op.drop_index("ix_jobs_done", "jobs")
    op.drop_column("jobs", "forecast")

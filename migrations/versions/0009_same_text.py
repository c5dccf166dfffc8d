"""Summaries are found by their text and all that decides them."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("summaries", sa.Column("digest", sa.Uuid(as_uuid=False)))
    op.create_index(
        "ix_summaries_digest", "summaries", ["digest"], postgresql_where="digest IS NOT NULL"
    )


def downgrade() -> None:
    op.drop_index("ix_summaries_digest", "summaries")
    op.drop_column("summaries", "digest")

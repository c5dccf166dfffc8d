"""Parts of long documents, and how a summary was made of them."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_NUMBERS = {
    **dict.fromkeys(("index", "start", "stop"), sa.BigInteger()),
    **dict.fromkeys(("depth", "part", "input_tokens", "output_tokens"), sa.Integer()),
}


def upgrade() -> None:
    op.create_table(
        "parts",
        sa.Column("job_id", sa.Text(), nullable=False),
        *(sa.Column(name, kind, nullable=False) for name, kind in _NUMBERS.items()),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("truncated", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name="fk_parts_job_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "index", "depth", "part", name="pk_parts"),
    )
    op.add_column(
        "summaries",
        sa.Column("depth", sa.Integer(), server_default=sa.text("0"), nullable=False),
    )
    op.add_column("summaries", sa.Column("spans", sa.dialects.postgresql.JSONB()))


def downgrade() -> None:
    op.drop_column("summaries", "spans")
    op.drop_column("summaries", "depth")
    op.drop_table("parts")

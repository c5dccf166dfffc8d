"""Workers hold several shards at once; how their model was kept busy; why which engine."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_SECONDS_AND_SHARES = ("generating_seconds", "waiting_seconds", "batches", "batch_fill")
_TOKENS = ("batched_tokens", "padding_tokens")


def upgrade() -> None:
    zero = sa.text("0")
    op.add_column(
        "shards", sa.Column("batch_size", sa.Integer(), server_default=zero, nullable=False)
    )
    op.add_column(
        "shards",
        sa.Column("alone", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    # Of those that somebody died with before this was known.
    op.execute(
        "UPDATE shards SET alone = true WHERE deaths + false_starts + vanished > 0"
        " OR suspects <> '{}'"
    )
    op.add_column("jobs", sa.Column("fallback", sa.Text()))
    for table in ("jobs", "shards"):
        for name in _SECONDS_AND_SHARES:
            op.add_column(table, sa.Column(name, sa.Double(), server_default=zero, nullable=False))
        for name in _TOKENS:
            op.add_column(
                table, sa.Column(name, sa.BigInteger(), server_default=zero, nullable=False)
            )


def downgrade() -> None:
    for table in ("jobs", "shards"):
        for name in (*_SECONDS_AND_SHARES, *_TOKENS):
            op.drop_column(table, name)
    op.drop_column("jobs", "fallback")
    op.drop_column("shards", "alone")
    op.drop_column("shards", "batch_size")

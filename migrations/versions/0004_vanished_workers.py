"""Workers that were gone without a word before they began a batch; deaths counted anew."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column(
        "shards",
        sa.Column("vanished", sa.Integer(), server_default=sa.text("0"), nullable=False),
    )
    # They were all deaths since the last progress; now they are those of batches, for good.
    op.execute("UPDATE shards SET deaths = 0 WHERE state NOT IN ('done', 'cancelled')")


def downgrade() -> None:
    op.drop_column("shards", "vanished")

"""How far each receiver of verdicts has got."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "outboxes",
        sa.Column("name", sa.String(250), primary_key=True),
        sa.Column("seq", _SERIAL, nullable=False, autoincrement=False),
        *(
            sa.Column(outcome, sa.BigInteger, nullable=False, server_default="0")
            for outcome in ("accept", "review", "reject", "undecided")
        ),
    )


def downgrade() -> None:
    """Remove it."""
    op.drop_table("outboxes")

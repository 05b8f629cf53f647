"""By which a request that is sent again finds the inspections that it led to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("inspections", sa.Column("request", sa.String(64)))
    op.create_index("ix_inspections_request", "inspections", ["request"], unique=True)


def downgrade() -> None:
    """Remove it."""
    op.drop_index("ix_inspections_request", "inspections")
    op.drop_column("inspections", "request")

"""What an inspected image has unlike the training images."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("inspections", sa.Column("unlike", sa.Text))


def downgrade() -> None:
    """Remove it."""
    op.drop_column("inspections", "unlike")

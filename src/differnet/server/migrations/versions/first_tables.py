"""Images, inspections, reviews and keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "images",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("derived_bytes", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("media_type", sa.String(40), nullable=False),
        sa.Column("last_used", _TIME, nullable=False, index=True),
        sa.Column("removed_at", _TIME),
    )
    op.create_table(
        "inspections",
        sa.Column("seq", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(32), nullable=False, unique=True),
        sa.Column("created", _TIME, nullable=False),
        sa.Column("hour", sa.Integer, nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("model_id", sa.String(12), nullable=False),
        sa.Column("filename", sa.String(255)),
        sa.Column("sha256", sa.String(64), sa.ForeignKey("images.sha256"), nullable=False, index=True),
        sa.Column("score", sa.Double, nullable=False),
        sa.Column("threshold", sa.Double),
        sa.Column("margin", sa.Double),
        sa.Column("p_value", sa.Double),
        sa.Column("decision", sa.String(10)),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("milliseconds", sa.Double, nullable=False),
        sa.Column("views", sa.Integer, nullable=False),
        sa.Column("review", sa.String(10)),
        sa.Column("reviewed_at", _TIME),
        sa.Column("note", sa.Text),
        sa.Index("ix_inspections_model_seq", "model", "seq"),
        sa.Index("ix_inspections_model_hour", "model", "hour"),
        sa.Index("ix_inspections_decision_review", "decision", "review", "seq"),
    )
    op.create_table(
        "reviews",
        sa.Column("seq", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("inspection", _SERIAL, sa.ForeignKey("inspections.seq"), nullable=False, index=True),
        sa.Column("created", _TIME, nullable=False),
        sa.Column("review", sa.String(10), nullable=False),
        sa.Column("note", sa.Text),
        sa.Column("key", sa.String(8)),
    )
    op.create_table(
        "keys",
        sa.Column("id", sa.String(8), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("role", sa.String(10), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False, unique=True),
        sa.Column("created", _TIME, nullable=False),
        sa.Column("revoked_at", _TIME),
    )


def downgrade() -> None:
    """Remove the tables."""
    for table in ("reviews", "inspections", "images", "keys"):
        op.drop_table(table)

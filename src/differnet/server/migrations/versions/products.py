"""Products: pictures, versions, releases, jobs, and who did what."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "products",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("folded", sa.String(255), nullable=False, unique=True),
        sa.Column("created", _TIME, nullable=False),
        sa.Column("choices", sa.JSON, nullable=False),
    )
    op.create_table(
        "pictures",
        sa.Column("seq", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("product", sa.String(32), sa.ForeignKey("products.id"), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("suffix", sa.String(8), nullable=False),
        sa.Column("filename", sa.String(255)),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("created", _TIME, nullable=False),
        sa.Column("key", sa.String(8)),
        sa.Column("left_out", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Index("ix_pictures_product_sha256", "product", "sha256", unique=True),
    )
    op.create_table(
        "versions",
        sa.Column("seq", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("product", sa.String(32), sa.ForeignKey("products.id"), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("created", _TIME, nullable=False),
        sa.Column("key", sa.String(8)),
        sa.Column("job", sa.String(32), nullable=False, unique=True),
        sa.Column("model_id", sa.String(12), nullable=False),
        sa.Column("about", sa.JSON, nullable=False),
        sa.Index("ix_versions_product_number", "product", "number", unique=True),
    )
    op.create_table(
        "releases",
        sa.Column("seq", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("product", sa.String(32), sa.ForeignKey("products.id"), nullable=False, index=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created", _TIME, nullable=False),
        sa.Column("key", sa.String(8)),
        sa.Column("replaced", sa.String(80)),
        sa.Column("undone", _TIME),
    )
    op.create_table(
        "jobs",
        sa.Column("seq", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(32), nullable=False, unique=True),
        sa.Column("product", sa.String(32), sa.ForeignKey("products.id"), nullable=False, index=True),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("state", sa.String(10), nullable=False, index=True),
        sa.Column("created", _TIME, nullable=False),
        sa.Column("started", _TIME),
        sa.Column("ended", _TIME),
        sa.Column("key", sa.String(8)),
        sa.Column("starts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("wanted", sa.JSON, nullable=False),
        sa.Column("result", sa.JSON),
        sa.Column("error", sa.Text),
    )
    op.create_table(
        "audit",
        sa.Column("seq", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("created", _TIME, nullable=False),
        sa.Column("key", sa.String(8)),
        sa.Column("product", sa.String(32), nullable=False, index=True),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("action", sa.String(20), nullable=False),
        sa.Column("about", sa.JSON, nullable=False),
    )


def downgrade() -> None:
    """Remove the tables."""
    for table in ("audit", "jobs", "releases", "versions", "pictures", "products"):
        op.drop_table(table)

"""The tables of products: their pictures, versions, releases, jobs, and who did what."""

from __future__ import annotations

import sqlalchemy as sa

from differnet.server.storage.database import SERIAL, UtcDateTime, metadata

__all__ = ["audit", "jobs", "pictures", "products", "releases", "versions"]

_KEY = 8

products = sa.Table(
    "products",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("name", sa.String(80), nullable=False),
    # By which names are the same to people, and to file systems that know no upper case.
    sa.Column("folded", sa.String(255), nullable=False, unique=True),
    sa.Column("created", UtcDateTime, nullable=False),
    sa.Column("choices", sa.JSON, nullable=False),
)

pictures = sa.Table(
    "pictures",
    metadata,
    sa.Column("seq", SERIAL, primary_key=True, autoincrement=True),
    sa.Column("product", sa.String(32), sa.ForeignKey("products.id"), nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("suffix", sa.String(8), nullable=False),
    sa.Column("filename", sa.String(255)),
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("created", UtcDateTime, nullable=False),
    sa.Column("key", sa.String(_KEY)),
    sa.Column("left_out", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index("ix_pictures_product_sha256", "product", "sha256", unique=True),
)

versions = sa.Table(
    "versions",
    metadata,
    sa.Column("seq", SERIAL, primary_key=True, autoincrement=True),
    sa.Column("product", sa.String(32), sa.ForeignKey("products.id"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("created", UtcDateTime, nullable=False),
    sa.Column("key", sa.String(_KEY)),
    # Its folder is called so; the job that made it has the same.
    sa.Column("job", sa.String(32), nullable=False, unique=True),
    sa.Column("model_id", sa.String(12), nullable=False),
    sa.Column("about", sa.JSON, nullable=False),
    # Its number is not given again.
    sa.Column("removed", UtcDateTime),
    sa.Index("ix_versions_product_number", "product", "number", unique=True),
)

releases = sa.Table(
    "releases",
    metadata,
    sa.Column("seq", SERIAL, primary_key=True, autoincrement=True),
    sa.Column("product", sa.String(32), sa.ForeignKey("products.id"), nullable=False, index=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("created", UtcDateTime, nullable=False),
    sa.Column("key", sa.String(_KEY)),
    # The model file that was replaced, by its name in the product's folder; none where there was none.
    sa.Column("replaced", sa.String(80)),
    sa.Column("undone", UtcDateTime),
)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("seq", SERIAL, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(32), nullable=False, unique=True),
    sa.Column("product", sa.String(32), sa.ForeignKey("products.id"), nullable=False, index=True),
    sa.Column("kind", sa.String(10), nullable=False),
    sa.Column("state", sa.String(10), nullable=False, index=True),
    sa.Column("created", UtcDateTime, nullable=False),
    sa.Column("started", UtcDateTime),
    sa.Column("ended", UtcDateTime),
    sa.Column("key", sa.String(_KEY)),
    sa.Column("starts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("wanted", sa.JSON, nullable=False),
    sa.Column("result", sa.JSON),
    sa.Column("error", sa.Text),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("seq", SERIAL, primary_key=True, autoincrement=True),
    sa.Column("created", UtcDateTime, nullable=False),
    sa.Column("key", sa.String(_KEY)),
    # Kept when the product is gone.
    sa.Column("product", sa.String(32), nullable=False, index=True),
    sa.Column("name", sa.String(80), nullable=False),
    sa.Column("action", sa.String(20), nullable=False),
    sa.Column("about", sa.JSON, nullable=False),
)

"""Run by Alembic: the connection comes from `differnet.server.storage.database.Database`."""

from __future__ import annotations

from alembic import context

from differnet.server.storage import outboxes, product_tables  # noqa: F401 - their tables are in the metadata
from differnet.server.storage.database import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()

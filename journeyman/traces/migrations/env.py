"""Alembic runs this file; the connection is handed in by `upgrade`."""

from alembic import context

from journeyman.traces.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()

"""Runs the migrations over the connection that `tables.open_database` opened."""

from alembic import context

from keyfob.gateway.auth.tables import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
context.run_migrations()

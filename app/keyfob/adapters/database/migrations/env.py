"""Runs the migrations over the connection that `database.ServerDatabase` opened."""

from alembic import context

# The gateway's keys may be in the same database, with a chain of migrations of their own.
context.configure(connection=context.config.attributes["connection"], version_table="keyfob_accounts_version")
context.run_migrations()

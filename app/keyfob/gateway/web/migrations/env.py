"""Runs the migrations over the connection that `open_database` opened. The gateway's other tables have a
version of their own.
"""

from alembic import context

from keyfob.gateway.web.tables import VERSIONS, Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, version_table=VERSIONS
)
context.run_migrations()

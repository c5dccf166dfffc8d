"""Runs the migrations on the connection that `jobs.database` holds.

A new one is a file of the next number in `versions/`; `make check` says whether it
brings a database to what `jobs/tables.py` declares.
"""

from alembic import context

from jobs.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()

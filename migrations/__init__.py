"""The database's versions, one file each, run by alembic through `jobs.database`."""

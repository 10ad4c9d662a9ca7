"""Makes a store's tables, or brings them up to date: the steps are in `versions/`, one file each, in order."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine

from journeyman.traces import schema
from journeyman.traces.migrations import first
from journeyman.traces.store import revision

FIRST = "0004"
"""The step from which on there are steps: stores from before are rewritten."""
OURS = 7_309_453
"""The number of our lock, out of all that programs may take on that server."""


def upgrade(engine: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    with engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # two processes may be opening a new store at once
        else:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({OURS})")

        config.attributes["connection"] = connection
        found = revision(connection)
        if found is not None and found >= FIRST:
            command.upgrade(config, "head")
            return

        if found is None:
            schema.create(connection)
        else:
            first.rewrite(connection)

        command.stamp(config, "head", purge=True)

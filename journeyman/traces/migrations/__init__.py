"""Makes a store's tables, or brings them up to date: the steps are in `versions/`, one file each, in order."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, inspect

from journeyman.traces import schema

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
        if inspect(connection).has_table("alembic_version"):
            command.upgrade(config, "head")
        else:
            schema.create(connection)
            command.stamp(config, "head")

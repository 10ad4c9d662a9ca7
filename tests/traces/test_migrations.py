"""A store of an earlier version is brought up to date when it is opened, with all that is in it."""

from alembic import command
from alembic.config import Config
from sqlalchemy import inspect, text

from journeyman.traces import migrations, projections, schema
from journeyman.traces.codec import encode
from journeyman.traces.connect import make_engine
from journeyman.traces.find import find
from journeyman.traces.store import Store
from journeyman.traces.verify import verify
from tests.traces.runs import WHOLE, answer, record


def store_of(revision: str, url: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(migrations.__path__[0]))
    engine = make_engine(url, "process")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.execute(
            text("INSERT INTO run VALUES ('r', 1, 2, 'm', 'boats?', 'answered', 'three', 2, 20, 8, 0, 1.5, NULL)")
        )
        for seq, event in enumerate(WHOLE, 1):
            row = encode(event)
            values = {"run": "r", "seq": seq, "type": row.type, "body": row.body}
            connection.execute(text("INSERT INTO event VALUES (:run, :seq, 1, :type, :body, NULL)"), values)
            for key, data in row.blobs:
                connection.execute(text("INSERT INTO blob VALUES (:key, :data)"), {"key": key, "data": data})

    engine.dispose()


async def test_a_store_of_the_first_version_is_read_and_gone_on_with(url: str) -> None:
    store_of("0001", url)

    with Store.open(url) as store:
        assert [each.event for each in store.events("r")] == WHOLE
        assert [(each.level, each.code) for each in verify(store)] == [("warn", "unsealed")]
        assert [run.run_id for run in find(store, "tool:add boats")] == ["r"]
        await record(store, *answer(3), run_id="r", seq=len(WHOLE))
        assert list(verify(store)) == []


async def test_the_tables_are_those_that_the_schema_names(store: Store) -> None:
    await record(store, *WHOLE)
    find(store, "boats")
    with store.reading() as connection:
        found = inspect(connection)
        for table in [*schema.metadata.tables.values(), *projections.metadata.tables.values()]:
            columns = {column["name"] for column in found.get_columns(table.name)}
            assert columns == set(table.columns.keys()), table.name

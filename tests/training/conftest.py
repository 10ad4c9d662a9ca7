import pytest

from tests.need import need


@pytest.fixture
def anyio_backend() -> str:
    """What a test does not ask for on both."""
    return "asyncio"


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """The file of a model that trains in a second."""
    for module in ("trl", "gguf", "xllamacpp"):
        need(module)

    from journeyman.training.base import demand_trainer  # noqa: PLC0415 - what need not be installed
    from tests.training.tiny import tiny_model  # noqa: PLC0415

    demand_trainer()
    return tiny_model(tmp_path_factory.mktemp("base") / "tiny.gguf")

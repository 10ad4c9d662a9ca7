import anyio
import pytest

from journeyman.agent.models.engine import Engine
from journeyman.agent.models.files import ModelFiles
from journeyman.agent.models.llama import LlamaModel
from journeyman.agent.models.starter import find_starter
from journeyman.traces.messages import ToolSpec
from tests.need import need

ADD = ToolSpec(
    name="calculator__calculate",
    server="calculator",
    tool="calculate",
    description="Evaluate arithmetic exactly",
    parameters={
        "type": "object",
        "properties": {"expression": {"type": "string", "maxLength": 40}},
        "required": ["expression"],
    },
)
INFO = ToolSpec(
    name="files__info",
    server="files",
    tool="info",
    description="Count lines, words and bytes of a file",
    parameters={"type": "object", "properties": {"path": {"type": "string", "maxLength": 40}}, "required": ["path"]},
)


@pytest.fixture(scope="session")
def starter():
    need("local")
    return find_starter()


@pytest.fixture(scope="session")
def llama(starter):
    """One running engine for all tests, without the adapter; runs do not disturb each other."""
    model = LlamaModel(ModelFiles(model=starter.model), Engine(threads=1, parallel=2, context=2048), untrained=False)
    yield model
    anyio.run(model.close)

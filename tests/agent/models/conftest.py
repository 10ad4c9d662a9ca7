import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

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


SERVER = """
import sys, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, template = sys.argv[1:3]
params.n_ctx = 2048
params.n_parallel = 1
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
params.cpuparams.poll = params.cpuparams_batch.poll = 0
params.warmup = params.fit_params = False
params.verbosity = 1
params.model_alias = {"smol"}
params.api_keys = ["secret"]
params.use_jinja = True
params.chat_template = open(template, encoding="utf-8").read()
params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(path, 1.0) for path in sys.argv[3:]]
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


@contextmanager
def llama_server(starter, template: Path) -> Generator[str]:
    """llama.cpp's own server over the starter, in a process of its own; its address."""
    adapters = [str(starter.adapter)] if starter.adapter else []
    command = [sys.executable, "-c", SERVER, str(starter.model), str(template), *adapters]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.kill()


@pytest.fixture(scope="session")
def served(starter):
    with llama_server(starter, Path(__file__).with_name("hermes.jinja")) as address:
        yield address


@pytest.fixture(scope="session")
def thinking_served(starter):
    """As `served`, with a template that has the model think first."""
    with llama_server(starter, Path(__file__).with_name("thinking.jinja")) as address:
        yield address


@pytest.fixture(scope="session")
def llama(starter):
    """One running engine for all tests, without the adapter; runs do not disturb each other."""
    model = LlamaModel(ModelFiles(model=starter.model), Engine(threads=1, parallel=2, context=2048), untrained=False)
    yield model
    anyio.run(model.close)

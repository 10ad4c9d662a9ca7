from typing import Any

import anyio
import pytest

from journeyman.agent.models.engine import Engine
from journeyman.agent.models.families import CHATML, MARKS
from journeyman.agent.models.files import ModelFiles
from journeyman.agent.models.llama import LlamaModel
from journeyman.agent.models.llama_child import placement
from journeyman.agent.models.probe import Finding, probe
from journeyman.agent.models.requantise import requantised
from journeyman.agent.models.scripted import ScriptedModel
from journeyman.errors import ModelError, UsageError
from tests.agent.models.tiny import write_model
from tests.need import need


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def found(model):
    return {finding.what: finding async for finding in probe(model)}


async def test_a_local_model_has_what_it_claims_whatever_its_weights(tmp_path):
    need("local")
    path = write_model(tmp_path / "m.gguf", [*MARKS[CHATML], "<tool_call>", "</tool_call>"], end=CHATML.end)
    model: Any = LlamaModel(ModelFiles(model=path), Engine(threads=1))
    try:
        findings = await found(model)
    finally:
        await model.close()

    has = {what for what, finding in findings.items() if finding.has}
    assert {"answers", "usage", "window", "log-probabilities", "prefix cache"} <= has
    assert findings["log-probabilities"] == Finding(what="log-probabilities", has=True, claims=True, seen="raw")
    assert findings["thinking"].claims is False


async def test_a_script_has_nothing_but_answers():
    findings = await found(ScriptedModel(["Hello."] * 8))

    assert [what for what, finding in findings.items() if finding.has] == ["answers", "window", "usage"]


async def test_a_window_that_no_server_tells_is_called_a_guess():
    model = ScriptedModel(["Hello."] * 8)
    model.capabilities = model.capabilities.model_copy(update={"context": 8192, "context_told": False})

    assert (await found(model))["window"] == Finding(
        what="window",
        has=False,
        seen="8192 tokens assumed: the server tells none; say it with --context or in config.toml",
    )


def test_slow_weights_are_stored_anew_and_load(tmp_path):
    need("local")
    slow = write_model(tmp_path / "m.gguf", [*MARKS[CHATML]], end=CHATML.end, stored="Q4_1")
    copy = requantised(slow, tmp_path / "models" / "copy.gguf", lambda _done, _all: None)

    from gguf import GGUFReader  # noqa: PLC0415 - of the extra

    kinds = [{tensor.tensor_type.name for tensor in GGUFReader(each).tensors} for each in (slow, copy)]
    assert kinds == [{"Q4_1", "F32"}, {"Q8_0", "F32"}]
    assert list(copy.parent.iterdir()) == [copy]

    async def info():
        model = LlamaModel(ModelFiles(model=copy), Engine(threads=1, context=256))
        try:
            return await model.open()
        finally:
            await model.close()

    assert anyio.run(info)["context"] == 256


def test_what_is_fast_already_is_left_as_it_is(tmp_path):
    path = write_model(tmp_path / "m.gguf", ["</s>"], end="</s>")

    with pytest.raises(UsageError, match="fast kernels") as caught:
        requantised(path, tmp_path / "copy.gguf", lambda _done, _all: None)

    assert "--force" in caught.value.fix


def test_two_that_store_a_model_anew_at_once_both_get_it(tmp_path):
    need("local")
    slow = write_model(tmp_path / "m.gguf", [*MARKS[CHATML]], end=CHATML.end, stored="Q4_1")
    target, early = tmp_path / "models" / "copy.gguf", []

    def meanwhile(done, total):
        if done == total:
            early.append(requantised(slow, target, lambda _done, _all: None).read_bytes())

    assert requantised(slow, target, meanwhile).read_bytes() == early[0]
    assert list(target.parent.iterdir()) == [target]


def test_a_file_that_is_no_model_cannot_be_stored_anew(tmp_path):
    (tmp_path / "m.gguf").write_bytes(b"GGUF" + b"\xff" * 5000)

    with pytest.raises(ModelError, match="cannot be read"):
        requantised(tmp_path / "m.gguf", tmp_path / "copy.gguf", lambda _done, _all: None)


CPU = {"type": "<GGML_BACKEND_DEVICE_TYPE_CPU: 0>", "description": "A CPU", "memory_free": 1 << 40}
GPU = {"type": "<GGML_BACKEND_DEVICE_TYPE_GPU: 1>", "description": "A card", "memory_free": 10_000}


@pytest.mark.parametrize(
    ("devices", "layers", "size", "expected"),
    [
        ([CPU], None, 8_000, {"gpus": [], "kv_type": "f16", "fitted": False}),
        ([CPU, GPU], None, 7_000, {"gpus": ["A card"], "kv_type": "f16", "fitted": True}),
        ([CPU, GPU], None, 8_500, {"gpus": ["A card"], "kv_type": "q8_0", "fitted": True}),
        ([CPU, GPU], 12, 7_000, {"gpus": ["A card"], "kv_type": "f16", "fitted": False}),
        ([CPU, GPU], 0, 8_500, {"gpus": [], "kv_type": "f16", "fitted": False}),
    ],
)
def test_a_gpus_free_memory_decides_what_lies_there(devices, layers, size, expected):
    assert placement(devices, {"gpu_layers": layers, "size": size, "kv_bytes": 1_000}) == expected

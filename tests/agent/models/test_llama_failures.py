"""What goes wrong with the local engine, for real: each failure is told apart and says what to do."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from journeyman.agent.models import llama_process, wire
from journeyman.agent.models.engine import Engine
from journeyman.agent.models.families import CHATML, MARKS
from journeyman.agent.models.files import ModelFiles
from journeyman.agent.models.llama import LlamaModel
from journeyman.agent.models.model import Request, Sampling
from journeyman.errors import EngineDied, EngineOutOfMemory, ModelError, ModelNotFound, install
from journeyman.traces.messages import UserMessage
from tests.agent.models.tiny import write_model


@pytest.fixture
def anyio_backend():
    return "asyncio"  # one engine is shared by all tests, and a model stays with the event loop library it began with


def ask(text="hello"):
    """For these words, whatever the model would rather say."""
    sampling = Sampling(max_tokens=200)
    return Request("r", 1, "", [UserMessage(text="Say it.")], (), "none", returns={"const": text}, sampling=sampling)


async def killed_while_it_writes(model: Any):
    async for event in model.respond(ask("word " * 150)):
        if event.kind == "text":
            os.kill(model._process.process.pid, signal.SIGKILL)


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_a_killed_engine_is_reported_and_started_again(starter, anyio_backend):
    model: Any = LlamaModel(starter, Engine(threads=1, context=512))
    try:
        await model.open()
        with pytest.raises(EngineDied, match="was killed") as caught:
            await killed_while_it_writes(model)

        assert caught.value.fix
        events: list[Any] = [event async for event in model.respond(ask())]
        assert events[-1].message.text == '"hello"'
    finally:
        await model.close()


async def test_a_turn_that_waits_while_the_engine_dies_is_asked_of_the_next_one(starter):
    model: Any = LlamaModel(starter, Engine(threads=1, context=512))
    said = []

    async def dies():
        with pytest.raises(EngineDied):
            await killed_while_it_writes(model)

    async def waits():
        said.extend([event async for event in model.respond(replace(ask(), run_id="other"))][-1:])

    try:
        await model.open()
        async with anyio.create_task_group() as group:
            group.start_soon(dies)
            group.start_soon(waits)
    finally:
        await model.close()

    assert said[0].message.text == '"hello"'


async def test_an_engine_that_hangs_is_ended_and_started_again(starter, monkeypatch):
    model: Any = LlamaModel(starter, Engine(threads=1, context=512))
    try:
        await model.open()
        with monkeypatch.context() as impatient:
            impatient.setattr(wire, "SILENCE", 0.2)
            os.kill(model._process.process.pid, signal.SIGSTOP)
            with pytest.raises(EngineDied, match="stopped answering") as caught:
                await anext(model.respond(ask()))

        events: list[Any] = [event async for event in model.respond(ask())]
        assert "journeyman run --resume last" in caught.value.fix
        assert events[-1].message.text == '"hello"'
    finally:
        await model.close()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_the_engine_ends_with_its_parent(starter):
    program = (
        "import anyio, sys\n"
        "from journeyman.agent.models.starter import starter_model\n"
        "model = starter_model()\n"
        "anyio.run(model.open)\n"
        "print(model._process.process.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        out: Any = parent.stdout
        pid = int(out.readline())
        parent.kill()

    deadline = time.monotonic() + 50
    while _running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_a_missing_engine_says_how_to_install_it(starter, tmp_path, monkeypatch):
    (tmp_path / "xllamacpp.py").write_text("raise ImportError('no such library')", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    with pytest.raises(ModelNotFound, match="not installed: no such library") as caught:
        await LlamaModel(starter).open()

    assert install("journeyman[local]") in caught.value.fix


async def test_an_engine_that_aborts_while_it_loads_shows_its_last_words(starter, tmp_path, monkeypatch):
    program = "import os, sys\nprint('GGML_ASSERT failed', file=sys.stderr, flush=True)\nos.abort()"
    (tmp_path / "xllamacpp.py").write_text(program, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    with pytest.raises(EngineDied, match=r"by its own abort\. Its last words: GGML_ASSERT failed"):
        await LlamaModel(starter).open()


async def test_ctrl_c_at_the_terminal_does_not_reach_the_engine(llama):
    await llama.open()

    assert os.getpgid(llama._process.process.pid) != os.getpgid(0)


async def test_a_truncated_model_is_called_truncated(starter, tmp_path):
    path = tmp_path / "cut.gguf"
    path.write_bytes(starter.model.read_bytes()[:5_000_000])

    with pytest.raises(ModelError, match="is truncated") as caught:
        await LlamaModel(ModelFiles(model=path)).open()

    assert caught.value.fix == "Copy or download it again."


async def test_garbage_after_the_magic_is_a_model_error(tmp_path):
    path = tmp_path / "garbage.gguf"
    path.write_bytes(b"GGUF" + bytes(range(256)) * 40)

    with pytest.raises(ModelError, match=r"header of .* makes no sense|truncated"):
        await LlamaModel(ModelFiles(model=path)).open()


async def test_an_adapter_that_does_not_fit_is_a_model_error(starter):
    with pytest.raises(ModelError, match="does not load"):
        await LlamaModel(ModelFiles(model=starter.model, adapters=(starter.model,))).open()


async def test_an_absurd_context_is_a_model_error(starter):
    with pytest.raises(ModelError, match="was trained for 8192") as caught:
        await LlamaModel(starter, Engine(context=1 << 30)).open()

    assert caught.value.fix == "Ask for a context of 1 to 8192 tokens."


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(4, 12_000), st.integers(0, 255)), min_size=1, max_size=20))
def test_a_damaged_file_loads_or_is_called_damaged(starter, tmp_path, damage):
    data = bytearray(write_model(tmp_path / "whole.gguf", list(MARKS[CHATML]), end=CHATML.end).read_bytes())
    for at, byte in damage:
        data[at % len(data)] = byte

    (tmp_path / "damaged.gguf").write_bytes(data)

    async def load():
        model = LlamaModel(ModelFiles(model=tmp_path / "damaged.gguf"), Engine(threads=1, context=256))
        with suppress(ModelError):  # and nothing else
            await model.open()

        await model.close()

    anyio.run(load)


async def test_each_failure_is_an_outcome_of_its_own(starter, tmp_path):
    """Told apart by kind: what a run's outcome stores."""
    (tmp_path / "page.gguf").write_bytes(b"<html>not found</html>")
    bad = write_model(tmp_path / "bad.gguf", ["<s>", "</s>"], end="</s>", template="{{ raise_exception('no') }}")
    kinds = []
    for path in (tmp_path / "none.gguf", tmp_path / "page.gguf", bad):
        with pytest.raises(ModelError) as caught:
            await LlamaModel(ModelFiles(model=path), Engine(threads=1)).open()

        kinds.append((type(caught.value).__name__, caught.value.kind))

    assert kinds == [("ModelNotFound", "model"), ("BadModelFile", "model_file"), ("BadTemplate", "template")]


async def test_a_kill_for_want_of_memory_is_told_from_any_other(starter, monkeypatch):
    model: Any = LlamaModel(starter, Engine(threads=1, context=512))
    try:
        await model.open()
        counted = llama_process.oom_kills()
        monkeypatch.setattr(llama_process, "oom_kills", lambda: counted + 1)
        with pytest.raises(EngineOutOfMemory, match="ran out of memory") as caught:
            await killed_while_it_writes(model)

        assert caught.value.kind == "memory"
    finally:
        await model.close()

"""The local engine beside llama-cpp-python: tokens per second of CPU time, one thread, the same file and the same ids.

    uv run python -m benchmarks.engine_peer MODEL.gguf PYTHON

PYTHON is an interpreter that has llama-cpp-python, built with CMAKE_ARGS="-DGGML_NATIVE=OFF": the instruction sets of
the wheel that we use. Built without that, it shows what a build for this very machine would bring. Both use flash
attention, as the engine chooses by itself. CPU time of the engine's process, so that a busy machine does not matter;
the two take turns.
"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import anyio

from journeyman.agent.models.engine import Engine
from journeyman.agent.models.files import ModelFiles
from journeyman.agent.models.llama import LlamaModel

READ, WRITTEN, ROUNDS = 512, 96, 3
TICK = os.sysconf("SC_CLK_TCK")

PEER = """
import json, sys, time
from llama_cpp import Llama, llama_cpp
model = Llama(sys.argv[1], n_ctx=2048, n_threads=1, n_threads_batch=1, n_batch=256, flash_attn=True, verbose=False)
print(json.dumps(llama_cpp.llama_print_system_info().decode()), flush=True)
for line in sys.stdin:
    ids, tokens = json.loads(line)
    model.reset()
    began = time.process_time()
    model.eval(ids)
    read = time.process_time() - began
    began = time.process_time()
    for _ in range(tokens):
        model.eval([model.sample(temp=0.0)])
    print(json.dumps([read, time.process_time() - began]), flush=True)
"""


def ids(seed: int) -> list[int]:
    return [100 + (seed * 131 + n * 7) % 4000 for n in range(READ)]


def spent(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


async def ours(model: LlamaModel, pid: int, seed: int) -> tuple[float, float]:
    body = {"prompt": ids(seed), "n_predict": 0, "temperature": 0.0, "samplers": ["temperature"], "ignore_eos": True}
    began = spent(pid)
    await model.wire.post("/completion", body)
    read = spent(pid) - began
    began = spent(pid)
    await model.wire.post("/completion", body | {"n_predict": WRITTEN})
    return read, spent(pid) - began


async def compare(path: Path, python: str) -> None:
    model = LlamaModel(ModelFiles(model=path), Engine(threads=1, context=2048))
    await model.open()
    pid = model._process.process.pid  # noqa: SLF001 - it is measured  # ty: ignore[possibly-missing-attribute]
    peer = subprocess.Popen(  # noqa: ASYNC220 - once
        [python, "-c", PEER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert peer.stdin
    assert peer.stdout
    print(f"  theirs is built with {json.loads(peer.stdout.readline())}")
    mine, theirs = [], []
    for seed in range(ROUNDS):
        peer.stdin.write(json.dumps([ids(seed), WRITTEN]) + "\n")
        peer.stdin.flush()
        theirs.append(json.loads(peer.stdout.readline()))
        mine.append(await ours(model, pid, seed))

    peer.stdin.close()
    peer.wait()
    await model.close()
    for what, tokens, at in (("read", READ, 0), ("write", WRITTEN, 1)):
        us, them = (tokens / statistics.median(row[at] for row in rows) for rows in (mine, theirs))
        print(f"  {what:<6} {us:7.0f} tokens per CPU second here, {them:7.0f} there: {us / them:.2f} times")


if __name__ == "__main__":
    print(f"engine_peer, {Path(sys.argv[1]).name}, one thread")
    anyio.run(compare, Path(sys.argv[1]), sys.argv[2])

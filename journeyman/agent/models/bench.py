"""How fast a local model is on this machine: measured by the engine's own clock, through its completion endpoint."""

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio

from journeyman.agent.models.engine import Engine
from journeyman.agent.models.files import ModelFiles
from journeyman.agent.models.llama import LlamaModel
from journeyman.traces.messages import Value

PROMPT, WRITTEN, GROUP, TURN = 512, 64, 8, 48
"""Tokens read, tokens written alone, conversations at once, tokens written by each of them."""
REPEATS = 3
Say = Callable[[str], None]


class Figures(Value):
    """Speeds in tokens a second of wall time; load in seconds."""

    device: str
    """`CPU`, or the GPUs' names."""
    threads: int
    quantisation: str
    kv_type: str
    load: float
    prefill: float
    decode: float
    decode_logprobs: float
    """With the probability of each token."""
    one_by_one: float
    """Tokens a second over a group's runs one after another."""
    parallel: float
    """The same, all of the group at once."""
    one_by_one_logprobs: float
    parallel_logprobs: float

    @property
    def gain(self) -> float:
        return round(self.parallel / self.one_by_one, 2)

    @property
    def gain_logprobs(self) -> float:
        return round(self.parallel_logprobs / self.one_by_one_logprobs, 2)


async def bench(files: ModelFiles, engine: Engine, say: Say) -> list[Figures]:
    """Figures of the CPU, and before them of the GPUs where the engine has some.

    Raises:
        ModelError: the model cannot be had.
    """
    rows = []
    first = await _measured(files, engine, say)
    rows.append(first)
    if first.device != "CPU" and engine.gpu_layers is None:
        rows.append(await _measured(files, engine.model_copy(update={"gpu_layers": 0}), say))

    return rows


async def _measured(files: ModelFiles, engine: Engine, say: Say) -> Figures:
    # The context is shared out among the places: each gets what the longest of the tasks needs.
    model = LlamaModel(files, engine.model_copy(update={"parallel": GROUP, "context": PROMPT + WRITTEN + 64}))
    began = time.perf_counter()
    say("loading")
    info = await model.open()
    load = time.perf_counter() - began
    try:
        ask = partial(_ask, model)
        say("reading")
        prefill = await _median(lambda n: ask(_ids(n, PROMPT), 1), "prompt_per_second")
        say("writing")
        decode = await _median(lambda n: ask(_ids(n, 16), WRITTEN), "predicted_per_second")
        with_logprobs = await _median(lambda n: ask(_ids(n, 16), WRITTEN, n_probs=1), "predicted_per_second")
        rates = []
        for more in ({}, {"n_probs": 1}):
            for together in (False, True):
                say(f"{GROUP} at once" if together else f"{GROUP} in turn")
                rates.append(await _group(ask, together=together, **more))
    finally:
        await model.close()

    gpus: Any = info["gpus"]
    return Figures(
        device=", ".join(gpus) or "CPU",
        threads=int(str(info["threads"])),
        quantisation=str(info["quantisation"]),
        kv_type=str(info["kv_type"]),
        load=round(load, 2),
        prefill=prefill,
        decode=decode,
        decode_logprobs=with_logprobs,
        one_by_one=rates[0],
        parallel=rates[1],
        one_by_one_logprobs=rates[2],
        parallel_logprobs=rates[3],
    )


async def quick(files: ModelFiles) -> dict[str, float]:
    """Tokens a second of reading and of writing, with one thread: enough to compare two files.

    Raises:
        ModelError: the model cannot be had.
    """
    model = LlamaModel(files, Engine(threads=1, context=PROMPT + WRITTEN + 64))
    await model.open()
    try:
        ask = partial(_ask, model)
        return {
            "read": await _median(lambda n: ask(_ids(n, PROMPT), 1), "prompt_per_second"),
            "write": await _median(lambda n: ask(_ids(n, 16), WRITTEN), "predicted_per_second"),
        }
    finally:
        await model.close()


def _ids(seed: int, count: int) -> list[int]:
    """Ids that every vocabulary has, in an order that no earlier request had."""
    return [40 + (seed * 31 + n * 7) % 150 for n in range(count)]


async def _median(once: Any, what: str) -> float:
    return round(statistics.median([(await once(n))["timings"][what] for n in range(REPEATS)]), 1)


async def _ask(model: LlamaModel, ids: list[int], tokens: int, **more: Any) -> Any:
    body = {
        "prompt": ids, "n_predict": tokens, "ignore_eos": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0,
        "min_p": 0.0, "samplers": ["top_p", "temperature"], "seed": 1, "cache_prompt": True,
    }  # fmt: skip
    return await model.wire.post("/completion", body | more)


async def _group(ask: Any, *, together: bool, **more: Any) -> float:
    """Tokens a second over a group of runs with a short prompt, each in a place of its own."""
    began = time.perf_counter()
    async with anyio.create_task_group() as group:
        for place in range(GROUP):
            one = partial(ask, _ids(place, 16), TURN, id_slot=place, **more)
            if together:
                group.start_soon(one)
            else:
                await one()

    return round(GROUP * TURN / (time.perf_counter() - began), 1)

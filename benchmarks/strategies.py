"""What each strategy buys on models that run here: `uv run python -m benchmarks.strategies [--n 40] [--write]`.

The starter tries held-out tasks of three families that need tools, Qwen2.5-Coder-0.5B-Instruct three that need none,
because over our tools it gets nearly nothing right by any strategy; and the same three once more with a place for
thoughts, where the mark that begins one is written for it. Prompts and seeds are those of this file. Strategies that
make the same draw (one question, one seed) share it: they differ in what they do with it, not in their luck. Every
attempt and every candidate is stored, and what was tried is not tried again: a run that was cut off goes on.
"""

import argparse
import os
import re
import sys
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from random import Random

import anyio

from benchmarks.calls import CACHE, QWEN, qwen, smol
from journeyman import Agent
from journeyman.agent.budget import Limits
from journeyman.agent.models.engine import Engine
from journeyman.agent.models.files import ModelFiles
from journeyman.agent.models.llama import LlamaModel
from journeyman.agent.models.model import Model, Request, Sampling
from journeyman.agent.models.starter import ADAPTER
from journeyman.agent.models.wrapped import Wrapped
from journeyman.agent.strategies import vote
from journeyman.agent.strategies.route import Route
from journeyman.agent.strategies.spec import strategies
from journeyman.agent.strategies.strategy import PARALLEL
from journeyman.cli.compare import table
from journeyman.cli.plot import svg
from journeyman.config import load_settings
from journeyman.errors import JourneymanError
from journeyman.traces.events import ModelDelta, ModelResponded
from journeyman.traces.store import Store
from journeyman.training.attempt import kept_open
from journeyman.training.compare import Comparison, Plan, arm, compare, compared
from journeyman.training.generate import generate
from journeyman.training.rollout import attempts
from journeyman.training.tasks import Task

PAGE = Path(__file__).parents[1] / "docs" / "strategies.md"
SEED = 12
TRIED = (
    "plain", "direct", "cot", "vote(5)", "vote(5, of=cot)", "best(4, by=judge)", "best(4, by=likelihood)",
    "best(4, by=process)", "best(4, by=verifier)", "refine(1)", "tpo(3)", "beam(2)", "tree(8)",
    "route(plain, vote(5))", "route(plain, cot)",
)  # fmt: skip
THOUGHTS = (
    "plain", "direct", "budget(max=32)", "budget(max=64)", "budget(max=64, min=32)", "no_switch(max=64)",
    "vote(5, of=budget(max=64))", "route(plain, budget(max=64))",
)  # fmt: skip
"""For a model with a place for thoughts."""
TOOLS = ("arithmetic", "word_problem", "adaptive_search")
TEXT = ("sums", "smallest", "python")
FENCE = re.compile("===[0-9a-f]{16}")
"""What a judge's question is fenced with; drawn anew each time."""
STARTER = "SmolLM2-135M-Instruct with the starter's adapter"
THINKER = f"{QWEN}, with a place for thoughts"
AT_ONCE = 3
"""Tasks under way."""
LIMITS = Limits(steps=12)
"""Of an attempt: none of time, or a busy machine would get answers wrong."""


class Drawn(Wrapped):
    """A model that makes the same draw once, whoever asks for it; its draws are kept in a file."""

    def __init__(self, model: Model, kept: Path) -> None:
        super().__init__(model)
        self._kept = kept
        kept.parent.mkdir(parents=True, exist_ok=True)
        lines = kept.read_text("utf-8").splitlines() if kept.exists() else []
        self._answers = dict(line.split(" ", 1) for line in lines)

    async def respond(self, request: Request) -> AsyncGenerator[ModelDelta | ModelResponded]:
        same: dict[str, object] = {} if self.capabilities.thinking else {"think": "auto"}
        same |= {} if request.sampling.temperature else {"seed": None}
        asked = repr(replace(request, run_id="", sampling=request.sampling.model_copy(update=same)))
        key = sha256(FENCE.sub("", asked).encode()).hexdigest()
        if key in self._answers:
            again = ModelResponded.model_validate_json(self._answers[key])
            await anyio.sleep(again.seconds)  # as long as it took
            yield again
            return

        async with aclosing(super().respond(request)) as stream:
            async for item in stream:
                if isinstance(item, ModelResponded):
                    self._answers[key] = item.model_dump_json()
                    with self._kept.open("a", encoding="utf-8") as file:
                        file.write(f"{key} {self._answers[key]}\n")

                yield item


def text_tasks(kind: str, n: int) -> list[Task]:
    """Questions that need no tool, from the seed."""
    random = Random(f"{kind}/{SEED}")  # noqa: S311 - no secret
    return [_text_task(kind, random) for _ in range(n)]


def _text_task(kind: str, random: Random) -> Task:
    numbers = [random.randint(11, 99) for _ in range(4)]
    a, b, c, d = numbers
    prompt, answer = {
        "sums": (f"What is {a} + {b} + {c}?", a + b + c),
        "smallest": (f"Which of these numbers is the smallest: {a}, {b}, {c}, {d}?", min(numbers)),
        "python": (
            f"What does this Python print?\n\nx = [{a}, {b}, {c}]\nprint(max(x) - min(x))",
            max(a, b, c) - min(a, b, c),
        ),
    }[kind]
    return Task(
        kind=kind, prompt=f"{prompt} Answer with the number.", answer=str(answer), match="numeric", tools=(), never=True
    )


def in_turns(kinds: Sequence[Sequence[Task]]) -> list[Task]:
    """One of each kind after the other: what is cut off is even."""
    return [task for tasks in zip(*kinds, strict=True) for task in tasks]


def plans(n: int) -> dict[str, tuple[Callable[[], ModelFiles], Plan]]:
    starter = in_turns([generate(kind, n, seed=SEED, split="held_out") for kind in TOOLS])
    qwens = in_turns([text_tasks(kind, n) for kind in TEXT])
    return {
        QWEN: (qwen, Plan(f"strategies-{SEED}/qwen", strategies(TRIED), qwens, limits=LIMITS)),
        THINKER: (qwen, Plan(f"strategies-{SEED}/thinker", strategies(THOUGHTS), qwens, limits=LIMITS)),
        STARTER: (lambda: smol(ADAPTER), Plan(f"strategies-{SEED}/starter", strategies(TRIED), starter, limits=LIMITS)),
    }


async def measure(name: str, files: ModelFiles, plan: Plan, store: Store, until: float) -> None:
    """Try one task after the other, a few at once, as far as the time allows."""
    model = LlamaModel(files, Engine(threads=1, parallel=PARALLEL, context=4096, stream=False), spec=name)
    try:
        await model.open()
        model.capabilities = model.capabilities.model_copy(update={"thinking": name == THINKER})
        drawn = Drawn(model, CACHE / f"{plan.name.replace('/', '-')}.jsonl")
        todo = iter(plan.tasks)

        async def work() -> None:
            for task in todo:
                await compare(replace(plan, tasks=[task]), drawn, store)
                sys.stderr.write(f"{task.kind} {task.key}\n")

        with anyio.move_on_after(until - time.monotonic()):
            async with anyio.create_task_group() as group:
                for _ in range(AT_ONCE):
                    group.start_soon(work)
    finally:
        await model.close()


HEAD = """# Strategies: spending more thinking on one question

    journeyman run --strategy "vote(5)" "..."                       # Agent(strategy="vote(5)") in Python
    journeyman compare plain "vote(5)" --tasks tasks.toml            # what it buys, and what it takes

| strategy | what it does |
|---|---|
| `plain` | one run, as without a strategy |
| `direct` | one run without thinking, where the model can |
| `cot` | one run that thinks step by step and ends with its answer |
| `budget(max=2048, min=0)` | one run whose thought is ended at `max` tokens and goes on ("Wait") before `min` |
| `no_switch(3, window=200)` | one run that is kept from leaping to another thought |
| `vote(5, of=plain)` | what most of five runs say; stops when that is decided |
| `best(4, by=judge)` | the best of four by judge, verifier, process or likelihood |
| `refine(2, by=critic)` | an answer is criticised and revised, twice at most |
| `tpo(3, rounds=1)` | best and worst answer are compared in words, and the best is revised by that |
| `beam(2, branch=2)` | the best unfinished runs are gone on with, step by step |
| `tree(12)` | twelve steps, each from the run that promises most; comes back from dead ends |
| `route(plain, vote(5))` | the cheap one first, the dear one only where its answer is in doubt |
| `on('openai:NAME', of=plain)` | by another model, in the same search and budget |

They nest: `vote(3, of=refine(1))`, `route(plain, on('local:large.gguf', cot))`. `budget` and `no_switch` need a model
with a place of its own for thoughts: where one is asked for, the mark that begins it is written for the model, where it
gets too long the mark that ends it, and an answer has to follow. The two models below have no such place, so neither
is in the tables. Candidates never touch the world outside of a copy of the folder (docs/design/031-one-world.md): tools
of other servers are called in them only where a label says that they do no more than read.

# What a strategy buys

`uv run python -m benchmarks.strategies --n {n} --write`. Each strategy tries the same held-out tasks once, seed {seed};
what it writes beside the answer it gives (candidates that were not chosen, judgements) counts as tokens. In the table:
right answers with their 95 % Wilson interval; tokens written and seconds a task (one thread of a shared machine:
believe the tokens); against *plain*, the tasks that only this strategy or only *plain* got right, and the chance of so
uneven a split (exact McNemar test). A star: the task's own verifier was asked, which is an upper bound, not a result.
Where an arm has fewer tasks than others, the machine's time was up; what is against *plain* is over shared tasks alone.

"""


ROUTES = """## What routing saves

`route(low, high)` beside `high` alone, over the tasks that both have tried: right answers, tokens written a task, how
many of them are saved, the tasks that only one of the two got right, and the chance of so uneven a split.

| model | low | high | right, routed | right, high | tokens, routed | tokens, high | saved | better | worse | p |
|---|---|---|---|---|---|---|---|---|---|---|
"""


def page(plans: dict[str, tuple[Callable[[], ModelFiles], Plan]], store: Store, n: int, *, write: bool) -> str:
    parts = [HEAD.format(n=n, seed=SEED)]
    for name, (_, plan) in plans.items():
        result = compared(plan, name, store)
        arms = tuple(each for each in result.arms if each.tasks)
        if not arms:
            continue

        drawing = PAGE.with_name(f"strategies-{plan.name.rpartition('/')[2]}.svg")
        if write:
            drawing.write_text(svg(arms), encoding="utf-8")

        parts.append(f"## {name}\n\n{table(arms)}\n\n![accuracy against tokens]({drawing.name})\n\n{_kinds(result)}")

    rows = "".join(row for name, (_, plan) in plans.items() for row in _routed(name, plan, store))
    return "".join([*parts, ROUTES, rows]).rstrip() + "\n"


def _routed(name: str, plan: Plan, store: Store) -> Iterator[str]:
    """Each router beside the dear strategy that it saves, over the tasks that both have tried."""
    for each in plan.strategies:
        if isinstance(each, Route):
            pair = [
                {key: one for (key, _), one in attempts(store, f"{plan.name}/{how}").items()}
                for how in (each, each.high)
            ]
            both = pair[0].keys() & pair[1].keys()
            routed, dear = ({key: tried[key] for key in both} for tried in pair)
            if not both:
                continue

            one, other = arm(str(each), routed, dear), arm(str(each.high), dear, dear)
            saved = 1 - one.tokens / other.tokens if other.tokens else 0.0
            yield (
                f"| {name} | {each.low} | {each.high} | {one.right}/{one.tasks} | {other.right}/{other.tasks} "
                f"| {one.tokens:.0f} | {other.tokens:.0f} | {saved:.0%} | {one.better} | {one.worse} | {one.p:.2g} |\n"
            )


def _kinds(result: Comparison) -> str:
    kinds = list(result.kinds)
    lines = [f"| right, by family | {' | '.join(kinds)} |\n|{'---|' * (len(kinds) + 1)}\n"]
    for n, one in enumerate(result.arms):
        if not one.tasks:
            continue

        cells = [f"{result.kinds[kind][n].right}/{result.kinds[kind][n].tasks}" for kind in kinds]
        lines.append(f"| {one.strategy} | {' | '.join(cells)} |\n")

    return "".join(lines) + "\n"


async def cost(store: Store) -> None:
    """Eight runs one after the other against `vote(8)` that is never decided: CPU of the engine, and of us."""
    model = LlamaModel(smol(), Engine(threads=1, parallel=8, context=1024, stream=False))
    prompt = f"Read this. {'The fox jumps over the dog. ' * 20} Name an animal in one short sentence."
    sampling = Sampling(temperature=1.0, seed=1, max_tokens=300)
    vote.decided = lambda _got, _n: False  # every vote is drawn
    await model.open()
    async with kept_open(model) as kept:
        for how, times in ((None, 1), (None, 8), ("vote(8)", 1)):  # the first one only warms up
            spent, own, tokens = _cpu(model), time.process_time(), 0
            for n in range(times):
                drawn = sampling.model_copy(update={"seed": 1 + n})
                async with Agent(kept, tools=[], store=store, sampling=drawn, strategy=how) as agent:
                    with suppress(JourneymanError):  # an answer that is too long is no answer, and took its time too
                        tokens += (await agent.run(prompt)).usage.completion_tokens

            engine, ours = _cpu(model) - spent, time.process_time() - own
            share = ours / (engine + ours)
            print(f"{how or 'eight runs'}: engine {engine:.1f} CPU-s, ours {ours:.2f} ({share:.1%}), {tokens} tokens")


def _cpu(model: LlamaModel) -> float:
    fields = Path(f"/proc/{model.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.strategies", description=__doc__)
    parser.add_argument("--n", type=int, default=8, help="tasks of each family")
    parser.add_argument("--minutes", type=float, default=60, help="for each model; begin nothing new after so many")
    parser.add_argument("--only", default="", metavar="WHO", help="qwen, thinker or starter")
    parser.add_argument("--tell", action="store_true", help="try nothing, tell what is stored")
    parser.add_argument("--write", action="store_true", help="write docs/strategies.md and its drawings")
    parser.add_argument("--cost", action="store_true", help="measure what vote(8) takes against eight runs instead")
    given = parser.parse_args(arguments)
    if given.cost:
        with Store.open(load_settings().store) as store:
            anyio.run(cost, store)

        return

    todo = plans(given.n)
    with Store.open(load_settings().store) as store:
        for name, (files, plan) in todo.items():
            if not given.tell and plan.name.endswith(given.only):
                try:
                    until = time.monotonic() + 60 * given.minutes
                    anyio.run(measure, name, files(), plan, store, until)
                except JourneymanError as error:
                    sys.stderr.write(f"{name}: {error}\n")

        text = page(todo, store, given.n, write=given.write)

    print(text)
    if given.write:
        PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

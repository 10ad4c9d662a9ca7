"""What each strategy buys on models that run here: `uv run python -m benchmarks.strategies [--n 8] [--write]`.

The starter tries held-out tasks of three families that need tools, Qwen2.5-Coder-0.5B-Instruct three that need none,
because over our tools it gets nearly nothing right by any strategy. Prompts and seeds are those of this file; every
attempt and every candidate is stored, and what was tried is not tried again: a run that was cut off goes on.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import anyio

from benchmarks.calls import QWEN, qwen, smol
from journeyman import Agent
from journeyman.agent.models.engine import Engine
from journeyman.agent.models.files import ModelFiles
from journeyman.agent.models.llama import LlamaModel
from journeyman.agent.models.model import Sampling
from journeyman.agent.models.starter import ADAPTER
from journeyman.agent.strategies import vote
from journeyman.agent.strategies.spec import strategies
from journeyman.cli.compare import table
from journeyman.cli.plot import svg
from journeyman.config import load_settings
from journeyman.errors import JourneymanError
from journeyman.traces.store import Store
from journeyman.training.attempt import kept_open
from journeyman.training.compare import Comparison, Plan, compare, compared
from journeyman.training.generate import generate
from journeyman.training.tasks import Task

PAGE = Path(__file__).parents[1] / "docs" / "strategies.md"
SEED = 12
TRIED = (
    "plain", "cot", "vote(5)", "best(4, by=judge)", "best(4, by=likelihood)", "best(4, by=process)",
    "best(4, by=verifier)", "refine(1)", "tpo(3)", "beam(2)", "tree(8)", "route(plain, vote(5))",
)  # fmt: skip
TOOLS = ("arithmetic", "word_problem", "adaptive_search")
TEXT = ("sums", "smallest", "python")
STARTER = "local:starter, stored as Q8_0"


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
    arms = strategies(TRIED)
    return {
        QWEN: (qwen, Plan(f"strategies-{SEED}/qwen", arms, qwens)),
        STARTER: (lambda: smol(ADAPTER), Plan(f"strategies-{SEED}/starter", arms, starter)),
    }


async def measure(files: ModelFiles, plan: Plan, store: Store, until: float) -> None:
    width = max(each.width for each in plan.strategies)
    model = LlamaModel(files, Engine(threads=1, parallel=width, context=4096, stream=False))
    with anyio.move_on_after(until - time.monotonic()):
        await compare(plan, model, store, lambda how, trial: sys.stderr.write(f"{how}: {trial.score.value}\n"))


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

They nest: `vote(3, of=refine(1))`. `budget` and `no_switch` need a model with a place of its own for thoughts; neither
model below has one. Candidates never touch the world outside of a copy of the folder: docs/design/031-one-world.md.

# What a strategy buys

`uv run python -m benchmarks.strategies --n {n} --write`. Each strategy tries the same held-out tasks once, seed {seed};
what it writes beside the answer it gives (candidates that were not chosen, judgements) counts as tokens. In the table:
right answers with their 95 % Wilson interval; tokens written and seconds a task (one thread of a shared machine:
believe the tokens); against *plain*, the tasks that only this strategy or only *plain* got right, and the chance of so
uneven a split (exact McNemar test). A star: the task's own verifier was asked, which is an upper bound, not a result.
Where an arm has fewer tasks than others, the machine's time was up; what is against *plain* is over shared tasks alone.

"""


def page(plans: dict[str, tuple[Callable[[], ModelFiles], Plan]], store: Store, n: int, *, write: bool) -> str:
    parts = [HEAD.format(n=n, seed=SEED)]
    for name, (_, plan) in plans.items():
        result = compared(plan, name, store)
        drawing = PAGE.with_name(f"strategies-{plan.name.rpartition('/')[2]}.svg")
        if write:
            drawing.write_text(svg(result.arms), encoding="utf-8")

        parts.append(
            f"## {name}\n\n{table(result.arms)}\n\n![accuracy against tokens]({drawing.name})\n\n{_kinds(result)}"
        )

    return "".join(parts).rstrip() + "\n"


def _kinds(result: Comparison) -> str:
    kinds = list(result.kinds)
    lines = [f"| right, by family | {' | '.join(kinds)} |\n|{'---|' * (len(kinds) + 1)}\n"]
    for n, arm in enumerate(result.arms):
        cells = [f"{result.kinds[kind][n].right}/{result.kinds[kind][n].tasks}" for kind in kinds]
        lines.append(f"| {arm.strategy} | {' | '.join(cells)} |\n")

    return "".join(lines) + "\n"


async def cost(store: Store) -> None:
    """Eight runs one after the other against `vote(8)` that is never decided: CPU of the engine, and of us."""
    model = LlamaModel(smol(), Engine(threads=1, parallel=8, context=1024, stream=False))
    prompt = f"Read this. {'The fox jumps over the dog. ' * 20} Name an animal in one short sentence."
    sampling = Sampling(temperature=1.0, seed=1, max_tokens=300)
    vote.decided = lambda _got, _n: False  # every vote is drawn
    await model.open()
    async with kept_open(model) as kept:
        for how, times in ((None, 8), ("vote(8)", 1)):
            spent, own, tokens = _cpu(model), time.process_time(), 0
            for n in range(times):
                drawn = sampling.model_copy(update={"seed": 1 + n})
                async with Agent(kept, tools=[], store=store, sampling=drawn, strategy=how) as agent:
                    tokens += (await agent.run(prompt)).usage.completion_tokens

            engine, ours = _cpu(model) - spent, time.process_time() - own
            print(f"{how or 'eight runs'}: engine {engine:.1f} CPU-s, ours {ours:.2f}, {tokens} tokens")


def _cpu(model: LlamaModel) -> float:
    fields = Path(f"/proc/{model.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.strategies", description=__doc__)
    parser.add_argument("--n", type=int, default=8, help="tasks of each family")
    parser.add_argument("--minutes", type=float, default=60, help="for each model; begin nothing new after so many")
    parser.add_argument("--only", help="a part of one model's name")
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
            if not given.tell and (given.only or "") in name:
                try:
                    anyio.run(measure, files(), plan, store, time.monotonic() + 60 * given.minutes)
                except JourneymanError as error:
                    sys.stderr.write(f"{name}: {error}\n")

        text = page(todo, store, given.n, write=given.write)

    print(text)
    if given.write:
        PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

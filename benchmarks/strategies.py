"""What each strategy buys on models that run here: `uv run python -m benchmarks.strategies [--n 12]`.

The starter tries held-out tasks of three families that need tools, Qwen2.5-Coder-0.5B-Instruct three that need none
and, by fewer strategies, the starter's; and both their own once more with a place for thoughts, where the mark that
begins one is written for the model. Prompts and seeds are those of this file. Strategies
that make the same draw (one question, one seed) share it: they differ in what they do with it, not in their luck. Every
attempt and every candidate is stored, and what was tried is not tried again: a run that was cut off goes on.
`benchmarks.strategies_page` tells what came of it.
"""

import argparse
import re
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from hashlib import sha256
from itertools import product
from pathlib import Path
from random import Random
from typing import NamedTuple

import anyio

from benchmarks.calls import CACHE, QWEN, qwen, smol
from journeyman.agent.budget import Limits
from journeyman.agent.models.engine import Engine
from journeyman.agent.models.llama import LlamaModel
from journeyman.agent.models.model import Model, Request
from journeyman.agent.models.starter import ADAPTER
from journeyman.agent.models.wrapped import Wrapped
from journeyman.agent.strategies.spec import strategies, strategy
from journeyman.agent.strategies.strategy import PARALLEL
from journeyman.config import load_settings
from journeyman.traces.events import CandidateScored, ModelDelta, ModelResponded, RunStarted
from journeyman.traces.store import Store
from journeyman.training.compare import Plan, compare
from journeyman.training.generate import generate
from journeyman.training.rollout import attempts, runs_of
from journeyman.training.tasks import Task

SEED = 12
SURE = 0.69
"""Likelihood from which a short answer of Qwen's is believed: among those there are the most right ones beyond the
wrong ones, as `--choose` tells of tasks of another seed."""
TRIED = (
    "plain", "cot", "vote(5)", "vote(5, of=cot)", "best(4, by=judge)", "best(4, by=likelihood)",
    "best(4, by=process)", "best(4, by=verifier)", "refine(1)", "tpo(3)", "beam(2)", "tree(8)", "route(plain, vote(5))",
)  # fmt: skip
SMALLER = ("on('local:starter')", "route(on('local:starter'), plain)", "route(plain, cot)")
LARGER = ("on('local:qwen.gguf')", "route(plain, on('local:qwen.gguf'))")
TOOLED = (
    "plain", "vote(5)", "best(4, by=likelihood)", "best(4, by=verifier)", "refine(1)", "beam(2)", "tree(8)",
    "route(plain, vote(5))",
)  # fmt: skip
THOUGHTS = (
    "plain", "direct", "budget(max=32)", "budget(max=64)", "budget(max=64, min=32)", "no_switch(max=64)",
    "vote(5, of=budget(max=64))", "route(plain, budget(max=64))",
)  # fmt: skip
"""For a model with a place for thoughts."""
ROUTES = (
    "plain", "vote(5, of=cot)", "refine(1)", "route(plain, vote(5, of=cot))",
    f"route(plain, vote(5, of=cot), by=likelihood, at={SURE})", f"route(plain, refine(1), by=likelihood, at={SURE})",
)  # fmt: skip
WRITTEN = {str(strategy(text)): text for text in (*TRIED, *SMALLER, *LARGER, *TOOLED, *THOUGHTS, *ROUTES)}
"""How they are written above, by what they are called in the store."""
TOOLS = ("arithmetic", "word_problem", "adaptive_search")
TEXT = ("sums", "smallest", "python")
FENCE = re.compile("===[0-9a-f]{16}")
"""What a judge's question is fenced with; drawn anew each time."""
STARTER = "SmolLM2-135M-Instruct with the starter's adapter"
AT_ONCE = 4
"""Tasks under way."""
PART = 2
"""Tasks of each family that one model tries before the others have their turn."""
FEW = 12
"""Tasks of the starter with a place for thoughts: its thoughts are calls, which it repeats until no step is left."""
CHOICE = 40
"""Tasks of each family that a router's likelihood is chosen on."""
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
            yield again
            return

        async with aclosing(super().respond(request)) as stream:
            async for item in stream:
                if isinstance(item, ModelResponded):
                    self._answers[key] = item.model_dump_json()
                    with self._kept.open("a", encoding="utf-8") as file:
                        file.write(f"{key} {self._answers[key]}\n")

                yield item


class Trial(NamedTuple):
    """One model and what it tries."""

    name: str
    spec: str
    plan: Plan
    thinks: bool = False
    """It is given a place for thoughts."""

    def part(self, of: int, parts: int) -> Plan:
        """One of so many equal parts of its tasks."""
        each = -(-len(self.plan.tasks) // parts)
        return replace(self.plan, tasks=self.plan.tasks[of * each : (of + 1) * each])

    def model(self, spec: str = "") -> Drawn:
        """Its own, or another that its strategies name; not open yet."""
        spec = spec or self.spec
        files = {"local:starter": lambda: smol(ADAPTER), "local:qwen.gguf": qwen}[spec]()
        model = LlamaModel(
            files,
            Engine(threads=1, parallel=PARALLEL, context=4096, stream=False),
            spec=self.name if spec == self.spec else spec,
        )
        kept = f"draws-{SEED}-{spec.removeprefix('local:')}{'-thinks' * self.thinks}.jsonl"
        return Drawn(model, CACHE / kept)


def text_tasks(kind: str, n: int, seed: int = SEED) -> list[Task]:
    """Questions that need no tool, from the seed."""
    random = Random(f"{kind}/{seed}")  # noqa: S311 - no secret
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


def trials(n: int, routed: int) -> list[Trial]:
    tools = in_turns([generate(kind, n, seed=SEED, split="held_out") for kind in TOOLS])
    texts = in_turns([text_tasks(kind, n) for kind in TEXT])
    many = in_turns([text_tasks(kind, routed) for kind in TEXT])

    def plan(name: str, how: Sequence[str], tasks: Sequence[Task]) -> Plan:
        return Plan(f"strategies-{SEED}/{name}", strategies(how), tasks, limits=LIMITS)

    thinks = "with a place for thoughts"
    return [
        Trial(QWEN, "local:qwen.gguf", plan("qwen", TRIED + SMALLER, texts)),
        Trial(STARTER, "local:starter", plan("starter", TRIED + LARGER, tools)),
        Trial(f"{QWEN}, over tools", "local:qwen.gguf", plan("qwen-tools", TOOLED, tools)),
        Trial(f"{QWEN}, {thinks}", "local:qwen.gguf", plan("qwen-thinks", THOUGHTS, texts), thinks=True),
        Trial(f"{STARTER}, {thinks}", "local:starter", plan("starter-thinks", THOUGHTS, tools[:FEW]), thinks=True),
        Trial(f"{QWEN}, routed", "local:qwen.gguf", plan("routes", ROUTES, many)),
    ]


async def measure(trial: Trial, plan: Plan, store: Store, until: float) -> None:
    """Try one task after the other, a few at once, as far as the time allows."""
    async with AsyncExitStack() as stack:
        drawn = trial.model()
        others = {spec: trial.model(spec) for each in plan.strategies for spec in each.models}
        for each in (drawn, *others.values()):
            stack.push_async_callback(each.model.close)

        await drawn.open()
        assert isinstance(drawn.model, LlamaModel)
        drawn.model.capabilities = drawn.capabilities.model_copy(update={"thinking": trial.thinks})
        todo = iter(plan.tasks)

        async def work() -> None:
            for task in todo:
                await compare(replace(plan, tasks=[task]), drawn, store, others=others)
                sys.stderr.write(f"{plan.name} {task.kind} {task.key}\n")

        with anyio.move_on_after(until - time.monotonic()):
            async with anyio.create_task_group() as group:
                for _ in range(AT_ONCE):
                    group.start_soon(work)


async def choose(store: Store) -> None:
    """Which likelihood best parts Qwen's right short answers from its wrong ones, on tasks used for nothing else."""
    tasks = in_turns([text_tasks(kind, CHOICE, SEED + 1) for kind in TEXT])
    how = strategies(["route(plain, plain, by=likelihood, at=0.001)"])  # scored, and never in doubt
    trial = Trial(QWEN, "local:qwen.gguf", Plan(f"strategies-{SEED + 1}/choice", how, tasks, limits=LIMITS))
    await measure(trial, trial.plan, store, float("inf"))
    batch = trial.plan.batch(how[0])
    right = {task: one.reward == 1 for (task, _), one in attempts(store, batch).items()}
    found: list[tuple[float, bool]] = []
    for run_id in runs_of(store, batch):
        events = [each.event for each in store.events(run_id)]
        sample = next(event.sample for event in events if isinstance(event, RunStarted))
        likely = next((event.score for event in events if isinstance(event, CandidateScored)), None)
        if sample and likely is not None:
            found.append((likely, right[sample.task]))

    for at in range(1, 100):
        believed = [good for likely, good in found if likely >= at / 100]
        print(f"{at / 100:.2f}: {sum(believed)} of {len(believed)} believed are right")


def sizes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--n", type=int, default=12, help="tasks of each family")
    parser.add_argument("--routed", type=int, default=48, help="the same, for what routing saves")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.strategies", description=__doc__)
    sizes(parser)
    parser.add_argument("--minutes", type=float, default=90, help="begin nothing new after so many")
    parser.add_argument("--only", default="", metavar="WHAT", help="one part: qwen, starter, ...-thinks or routes")
    parser.add_argument("--choose", action="store_true", help="find the likelihood at which a router is sure instead")
    given = parser.parse_args(arguments)
    until, parts = time.monotonic() + 60 * given.minutes, -(-given.n // PART)
    with Store.open(load_settings().store) as store:
        if given.choose:
            anyio.run(choose, store)
            return

        for part, trial in product(range(parts), trials(given.n, given.routed)):
            if trial.plan.name.endswith(f"/{given.only}" if given.only else ""):
                anyio.run(measure, trial, trial.part(part, parts), store, until)


if __name__ == "__main__":
    main()

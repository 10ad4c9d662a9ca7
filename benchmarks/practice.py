"""What practice costs beside the model: attempts made and judged, and stored runs judged again.

The same tasks are practised twice: with a script that makes the oracle's calls, which is all overhead, and with the
starter. `PRACTICE_TASKS` sets how many tasks of each kind, `PRACTICE_RUNS` how many stored runs are judged again.
"""

import os
import resource
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio

from journeyman.agent.models.model import Model, Request
from journeyman.agent.models.scripted import ScriptedModel
from journeyman.errors import JourneymanError
from journeyman.traces.find import find
from journeyman.traces.store import Store
from journeyman.training.generate import generate
from journeyman.training.rollout import Batch, rollout
from journeyman.training.scoring import score_again
from journeyman.training.tasks import Task
from journeyman.verifiers.case import Case
from journeyman.verifiers.check import Check
from journeyman.verifiers.desk import Desk

EACH = int(os.environ.get("PRACTICE_TASKS", "4"))
RUNS = int(os.environ.get("PRACTICE_RUNS", "1000"))
KINDS = ("arithmetic", "file_fact", "search", "plan")
N = 4


def spent() -> float:
    """CPU seconds of this process and of those that it started and that have ended."""
    usage = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in usage)


def oracle(tasks: list[Task]) -> Callable[[Request], Any]:
    by_prompt = {task.prompt: task for task in tasks}

    def plays(request: Request) -> Any:
        task = by_prompt[request.messages[0].text]
        calls = [call for call in task.oracle if call.tool != "update_plan"]
        if request.step <= len(calls):
            call = calls[request.step - 1]
            return {"tool": call.tool, "arguments": call.arguments}

        return task.says or task.answer

    return plays


async def practise(model: Model, name: str, tasks: list[Task], store: Store) -> float:
    before = spent()
    await rollout(Batch(name, tasks, n=N, parallel=4), model, store)
    return spent() - before


async def again(store: Store, tasks: list[Task], n: int) -> float:
    ids = [run.run_id for run in find(store, "batch:script", None)]
    before = spent()
    async with Desk() as desk:
        for left in range(n, 0, -len(ids)):
            await score_again(store, ids[:left], tasks, desk)

    return spent() - before


async def code(n: int) -> float:
    """Programs judged, each in a sandbox of its own."""
    check = Check(verifier="functions", parameters={"calls": [{"call": "double", "args": [n], "expect": 2 * n}]})
    case = Case(prompt="?", answer="```python\ndef double(n):\n    return 2 * n\n```")
    before = spent()
    async with Desk(2) as desk:
        for _ in range(n):
            (score,) = await desk.verify([check], case)
            assert score.value == 1, score

    return spent() - before


def starter() -> Model | None:
    from journeyman.agent.models.spec import Engine, make_model  # noqa: PLC0415

    try:
        return make_model("local:starter", Engine(parallel=4, stream=False))
    except JourneymanError as error:
        print(f"  the starter is not here: {error}")
        return None


def main() -> None:
    tasks = [task for kind in KINDS for task in generate(kind, EACH, seed=1, split="train")]
    attempts = len(tasks) * N
    with tempfile.TemporaryDirectory() as name, Store.open(Path(name) / "runs.db") as store:
        overhead = anyio.run(practise, ScriptedModel(oracle(tasks)), "script", tasks, store)
        print(f"{attempts} attempts, made, recorded and judged: {overhead / attempts * 1000:.1f} CPU-ms each")
        model = starter()
        if model is not None:
            both = anyio.run(practise, model, "starter", tasks, store)
            share = overhead / (both - overhead)
            print(f"  with the starter {both / attempts * 1000:.0f} CPU-ms: {share:.1%} of the model's time")

        few = max(RUNS // 10, 1)
        print(f"programs, each judged in a fresh sandbox: {anyio.run(code, few) / few * 1000:.0f} CPU-ms each")
        print(f"{RUNS:,} stored runs judged again: {anyio.run(again, store, tasks, RUNS):.1f} CPU-s")


if __name__ == "__main__":
    main()

"""The cold start: conversations of the perfect agent, really played with the real tools, for a model to imitate first.

They teach the protocol: when to call which tool, how to write the call, when to stop. For the starter's own kinds of
tasks tools come in changing lists and words (`mixture.py`), so that the model learns to read the list it is given.
"""

from collections.abc import Sequence
from pathlib import Path

import anyio

from journeyman.agent.instructions import DEFAULT
from journeyman.traces.messages import ToolSpec
from journeyman.training.dialogues import DENIALS, perfect, played
from journeyman.training.mixture import Mixture, spec_of
from journeyman.training.play import PLAN
from journeyman.training.rows import Reader, Row
from journeyman.training.tasks import Task
from journeyman.training.workshop import builtin_specs

TOGETHER = 6
"""Conversations behind one list of tools."""


async def cold_rows(
    tasks: Sequence[Task], reader: Reader, *, mixed: int = 0, seed: int = 1, aloud: bool = False
) -> list[Row]:
    """A row for each task whose oracle comes out right; with `mixed`, so many of the starter's own kinds instead.

    aloud: each call is thought of first.
    """
    async with anyio.TemporaryDirectory() as folder:
        specs = await builtin_specs(Path(folder))

    if mixed:
        mixture = Mixture(specs, tasks=4 * mixed, seed=seed)
        groups = await played(mixture, -(-mixed // TOGETHER), size=TOGETHER, seed=seed, aloud=aloud)
        return [
            reader.row(dialogue, group.instructions, group.tools, kind=kind, run_id=f"oracle-{seed}-{n}-{m}")
            for n, (group, told) in enumerate(groups)
            for m, (kind, dialogue) in enumerate(told)
        ]

    rows = []
    for task in tasks:
        tools = [*(spec for spec in specs if _offered(spec, task)), *map(spec_of, task.extra)]
        messages = await perfect(task, {tool.name for tool in tools}, DENIALS[0], aloud=aloud)
        if messages is not None:
            about = {"task": task.key, "kind": task.kind, "run_id": f"oracle-{task.key}", "reward": 1.0}
            rows.append(reader.row(messages, DEFAULT, tools, **about))

    return rows


def _offered(spec: ToolSpec, task: Task) -> bool:
    """As in a run of the task, so that what is learnt begins with what will be read: no tool, no plan."""
    if spec.name == PLAN:
        return task.tools != () or bool(task.extra)

    return not task.alone and (task.tools is None or spec.server in task.tools)

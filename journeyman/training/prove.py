"""Can a task be trusted: its oracle must score 1, and no cheat may.

    faults = await prove(task)      # () for a good one

The oracle's calls are really made, in a folder of the task's own. Cheats are what a model learns when a task lets it:
to say nothing, to say the question again, to recite every file, to list many answers; and the task's own.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from journeyman.traces.messages import AssistantMessage, Message, Text, ToolCall, ToolResult, UserMessage, Value
from journeyman.training.folder import collect, inside, lay_out
from journeyman.training.judge import case_of
from journeyman.training.play import play
from journeyman.training.tasks import Cheat, Task
from journeyman.training.workshop import Workshop
from journeyman.verifiers.desk import Desk
from journeyman.verifiers.hidden import furnished
from journeyman.verifiers.recipe import reward
from journeyman.verifiers.score import Score

SCRIPT_SECONDS = 120


class Fault(Value):
    what: str
    """oracle, or which cheat."""
    score: Score


async def prove(task: Task, desk: Desk) -> tuple[Fault, ...]:
    """What is wrong with a task.

    Raises:
        ConfigError: a check names no verifier.
        ToolError, UsageError: the oracle calls what there is not.
    """
    oracle = await _scored(task, desk, None)
    faults = [] if oracle.value == 1 else [Fault(what="oracle", score=oracle)]
    for name, cheat in _cheats(task):
        score = await _scored(task, desk, cheat)
        if score.value == 1:
            faults.append(Fault(what=name, score=score))

    return tuple(faults)


def _cheats(task: Task) -> Iterator[tuple[str, Cheat]]:
    """A refusal or small talk may well say nothing of use; anything else may not pass for it."""
    yield "saying nothing", Cheat()
    if task.match != "talk" or task.checks:
        yield "repeating the question", Cheat(answer=task.prompt)
        yield "another number", Cheat(answer="42424242")
        yield "reciting the files", Cheat(answer="\n".join([task.prompt, *task.files.values()] * 2))

    for number, cheat in enumerate(task.cheats, 1):
        yield f"cheat {number}", cheat


async def _scored(task: Task, desk: Desk, cheat: Cheat | None) -> Score:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        lay_out(task.files | (cheat.files if cheat else {}), root)
        async with Workshop(root) as workshop:
            if cheat is None:
                messages = await play(task, workshop.call, offered={"update_plan"})
                await _finish(task, root)
            else:
                messages = await _cheated(task, cheat, workshop)

        case = case_of(task, messages, collect(root))
        return reward(task.verifiers, await desk.verify(task.verifiers, case))


async def _finish(task: Task, root: Path) -> None:
    """What the oracle does beside its calls."""
    for path, text in task.leaves.items():
        target = inside(root, path)
        target.unlink(missing_ok=True)
        if text is not None:
            lay_out({path: text}, root)

    if task.script:
        await _run_script(task.script, root)


async def _run_script(script: str, root: Path) -> None:
    sandbox = await furnished(collect(root), seconds=SCRIPT_SECONDS)
    try:
        await sandbox.exec(["bash", "-c", script])
        for path in await sandbox.artefacts():
            lay_out({path: (await sandbox.read(path)).decode(errors="replace")}, root)
    finally:
        await sandbox.close()


async def _cheated(task: Task, cheat: Cheat, workshop: Workshop) -> list[Message]:
    messages: list[Message] = [UserMessage(text=task.prompt)]
    for number, step in enumerate(cheat.calls, 1):
        text, is_error = await workshop.call(step.tool, step.arguments)
        call = ToolCall(id=f"c{number}", name=step.tool, arguments=json.dumps(step.arguments))
        messages.append(AssistantMessage(parts=(call,)))
        messages.append(ToolResult(call_id=call.id, name=step.tool, text=text, is_error=is_error))

    return [*messages, AssistantMessage(parts=(Text(text=cheat.answer),))]

"""Oracle dialogues for training: tasks are played with the real tools and kept only if they come out right."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from journeyman.traces.messages import AssistantMessage, Message, ToolResult, ToolSpec
from journeyman.training.folder import collect, lay_out
from journeyman.training.judge import case_of, judge
from journeyman.training.mixture import Mixture
from journeyman.training.play import play
from journeyman.training.tasks import Task
from journeyman.training.workshop import Workshop

DENIALS = (
    "denied: the user said no",
    "denied: this needs a person's permission and nobody is there to ask",
    "denied: the policy forbids this call",
    "denied: not allowed",
    "denied: writing needs approval",
)
"""How a refused call may be worded; the reason behind the colon is the policy's."""
JOINED = 0.15
"""Share of the dialogues that go on, in the same conversation, with a second question."""


@dataclass(frozen=True, slots=True)
class Played:
    """Dialogues that are offered the same tools."""

    instructions: str
    tools: Sequence[ToolSpec]
    kinds: Sequence[str]
    dialogues: Sequence[Sequence[Message]]


async def played(mixture: Mixture, groups: int, *, size: int, seed: int) -> tuple[list[Played], list[Task]]:
    """So many groups of `size` dialogues, and the tasks that were dropped because their oracle failed."""
    random = Random(seed)
    done: list[Played] = []
    dropped: list[Task] = []
    while len(done) < groups:
        group = mixture.group(size)
        offered = {tool.name for tool in group.tools}
        right: list[tuple[str, list[Message]]] = []
        for task in group.tasks:
            messages = await _play(task, offered, random)
            if messages is None:
                dropped.append(task)
            else:
                right.append((task.kind, messages))

        if right:
            kinds, dialogues = zip(*right, strict=True)
            done.append(Played(group.instructions, group.tools, kinds, _joined(dialogues, random)))

    return done, dropped


def _joined(dialogues: Sequence[list[Message]], random: Random) -> list[list[Message]]:
    """A person asks again after an answer: some dialogues continue the one before."""
    joined: list[list[Message]] = []
    for dialogue in dialogues:
        if joined and random.random() < JOINED:
            joined[-1] = joined[-1] + dialogue
        else:
            joined.append(dialogue)

    return joined


async def _play(task: Task, offered: set[str], random: Random) -> list[Message] | None:
    messages = await perfect(task, offered, random.choice(DENIALS))
    return None if messages is None else _reworded(messages, random)


async def perfect(task: Task, offered: set[str], denial: str) -> list[Message] | None:
    """The conversation of the perfect agent, played with the real tools; None where it does not come out right."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        lay_out(task.files, root)
        async with Workshop(root) as workshop:
            messages = await play(task, workshop.call, offered=offered, denial=denial)

        return messages if _right(task, messages, root) else None


def _right(task: Task, messages: Sequence[Message], root: Path) -> bool:
    """The final answer is right, the files are, and where a fact was looked up a tool really said it."""
    last = messages[-1]
    said = "\n".join(message.text for message in messages if isinstance(message, ToolResult))
    answer = last.text if isinstance(last, AssistantMessage) else None
    grounded = task.match not in {"numeric", "exact"} or not task.oracle or (answer or "") in said
    return grounded and judge(task, case_of(task, messages, collect(root))).value == 1


def _reworded(messages: list[Message], random: Random) -> list[Message]:
    """Errors come with and without a word in front that says they are errors."""
    prefix = random.choice(("", "error: "))
    return [
        message.model_copy(update={"text": prefix + message.text})
        if isinstance(message, ToolResult) and message.is_error and not message.text.startswith("denied")
        else message
        for message in messages
    ]

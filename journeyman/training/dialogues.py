"""Oracle dialogues for training: tasks are played with the real tools and kept only if they come out right."""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from journeyman.traces.messages import AssistantMessage, Message, ToolResult
from journeyman.training.folder import collect, lay_out
from journeyman.training.judge import case_of, judge
from journeyman.training.mixture import Group, Mixture
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


Told = tuple[str, list[Message]]
"""Of which kind it is, and the conversation."""


async def played(
    mixture: Mixture, groups: int, *, size: int, seed: int, aloud: bool = False
) -> list[tuple[Group, list[Told]]]:
    """So many groups of `size` dialogues; tasks whose oracle fails are dropped.

    aloud: each call is thought of first.
    """
    random = Random(seed)
    done: list[tuple[Group, list[Told]]] = []
    while len(done) < groups:
        group = mixture.group(size)
        offered = {tool.name for tool in group.tools}
        right: list[Told] = []
        for task in group.tasks:
            messages = await perfect(task, offered, random.choice(DENIALS), aloud=aloud)
            if messages is not None:
                right.append((task.kind, _reworded(messages, random)))

        if right:
            done.append((group, _joined(right, random)))

    return done


def _joined(dialogues: Sequence[Told], random: Random) -> list[Told]:
    """A person asks again after an answer: some dialogues continue the one before."""
    joined: list[Told] = []
    for kind, messages in dialogues:
        if joined and random.random() < JOINED:
            joined[-1][1].extend(messages)
        else:
            joined.append((kind, messages))

    return joined


async def perfect(task: Task, offered: set[str], denial: str, *, aloud: bool = False) -> list[Message] | None:
    """The conversation of the perfect agent, played with the real tools; None where it does not come out right."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        lay_out(task.files, root)
        async with Workshop(root) as workshop:
            messages = await play(task, workshop.call, offered=offered, denial=denial, aloud=aloud)

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

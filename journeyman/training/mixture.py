"""Which dialogues share a system turn: whole tool lists and parts of them, in changing order and words.

The model must learn to read the list it is given, not to know one list by heart: so the tools are shuffled, some are
left out, tools of the user's own stand between them and descriptions change. The runtime's own default list is the
most frequent one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from journeyman.agent.instructions import DEFAULT
from journeyman.traces.messages import ToolSpec
from journeyman.training.generate import generate
from journeyman.training.play import PLAN
from journeyman.training.tasks import ExtraTool, Task

SHARES = {
    "arithmetic": 34,
    "word_problem": 14,
    "file_fact": 5,
    "file_lookup": 18,
    "file_change": 4,
    "file_trouble": 5,
    "search": 9,
    "adaptive_search": 10,
    "code": 10,
    "plan": 16,
    "own_tool": 14,
    "chat": 2,
}
"""How often a kind of task is drawn."""

INSTRUCTIONS = (
    "You are a helpful assistant with tools. Answer briefly.",
    "Use the tools where they help. Answer with the result only.",
    "You are a careful assistant.",
)
DESCRIPTIONS = {
    "calculator__calculate": ("Evaluate an arithmetic expression", "Exact arithmetic", "Calculate"),
    "code__python": ("Run Python", "Execute Python code", "Run Python in a sandbox"),
    "files__edit": ("Change text in a file", "Replace one piece of text"),
    "files__info": ("Size of a file in lines, words and bytes", "Lines, words and bytes of a file"),
    "files__list": ("List a folder", "Names of files and folders"),
    "files__read": ("Read lines of a text file", "The text of a file"),
    "files__write": ("Write text to a file", "Create or overwrite a file"),
    "search__open": ("Read on around a hit", "Read lines of a found file"),
    "search__search": ("Find lines in the files", "Search the text of all files"),
    PLAN: ("Write down or revise the plan", "Keep the plan up to date"),
}
"""Other ways to say what the built-in tools do."""


@dataclass(frozen=True, slots=True)
class Group:
    """Dialogues that are offered the same tools."""

    instructions: str
    tools: tuple[ToolSpec, ...]
    tasks: tuple[Task, ...]


class Mixture:
    """An endless stream of groups; the same seed gives the same stream."""

    def __init__(self, builtins: Sequence[ToolSpec], *, tasks: int, seed: int) -> None:
        self._builtins = {tool.name: tool for tool in builtins}
        self._random = Random(seed)
        total = sum(SHARES.values())
        self._pool = {
            kind: _Deck(_some(kind, max(tasks * share // total, 20), seed), self._random)
            for kind, share in SHARES.items()
        }

    def group(self, size: int) -> Group:
        draw = self._random.random()
        if draw < 0.12:  # noqa: PLR2004 - shares of the ways to offer tools
            return self._own_tools_only()

        names = list(self._builtins) if draw < 0.5 else self._part()  # noqa: PLR2004
        tasks = [task for task in (self._draw() for _ in range(size * 12)) if _fits(task, names)]
        chosen = _few_tools(tasks, size)
        return self._group(names, chosen)

    def _draw(self) -> Task:
        kind = self._random.choices(list(SHARES), list(SHARES.values()))[0]
        return self._pool[kind].draw()

    def _part(self) -> list[str]:
        """A few of the built-in tools; the planner's mostly among them."""
        names = [name for name in self._builtins if name != PLAN]
        kept = set(self._random.sample(names, self._random.randint(1, 6)))
        return [name for name in names if name in kept] + [PLAN] * (self._random.random() < 0.75)  # noqa: PLR2004

    def _own_tools_only(self) -> Group:
        """One to four tools of the user's own and nothing else; several questions for the same tools."""
        tasks: dict[str, Task] = {}
        for _ in range(self._random.choice((1, 1, 2, 3, 4))):
            task = self._pool["own_tool"].draw()
            if task.alone and not tasks.keys() & {tool.name for tool in task.extra}:
                tasks[task.oracle[0].tool] = task

        chosen = [task for task in tasks.values() if not {tool.name for tool in task.extra[1:]} & tasks.keys()]
        return self._group([PLAN] * (self._random.random() < 0.4), chosen) if chosen else self._own_tools_only()  # noqa: PLR2004

    def _group(self, names: Sequence[str], tasks: Sequence[Task]) -> Group:
        extra = {tool.name: spec_of(tool) for task in tasks for tool in task.extra}
        tools = [self._worded(self._builtins[name]) for name in names]
        tools = [*extra.values(), *tools] if self._random.random() < 0.5 else [*tools, *extra.values()]  # noqa: PLR2004
        if self._random.random() < 0.25:  # noqa: PLR2004
            self._random.shuffle(tools)

        instructions = DEFAULT if self._random.random() < 0.92 else self._random.choice(INSTRUCTIONS)  # noqa: PLR2004
        return Group(instructions, tuple(tools), tuple(tasks))

    def _worded(self, tool: ToolSpec) -> ToolSpec:
        if self._random.random() < 0.8:  # noqa: PLR2004
            return tool

        return tool.model_copy(update={"description": self._random.choice(DESCRIPTIONS.get(tool.name, ("",)))})


class _Deck:
    """Tasks of one kind, dealt in random order; when all are dealt they are shuffled again."""

    def __init__(self, tasks: list[Task], random: Random) -> None:
        self._tasks, self._random = tasks, random
        self._rest: list[Task] = []

    def draw(self) -> Task:
        if not self._rest:
            self._rest = list(self._tasks)
            self._random.shuffle(self._rest)

        return self._rest.pop()


def _some(kind: str, n: int, seed: int) -> list[Task]:
    """Small talk has few different questions; every other kind has as many as are asked for."""
    return generate(kind, min(n, 60) if kind == "chat" else n, seed=seed, split="train")


def _fits(task: Task, names: Sequence[str]) -> bool:
    if task.kind == "chat":
        return "work" not in task.says or len(names) > 8 or "calculate" not in task.says  # noqa: PLR2004

    own = {tool.name for tool in task.extra}
    needed = {step.tool for step in task.oracle} - {PLAN} - own
    return needed <= set(names) and not (own and task.alone)


def _few_tools(tasks: Sequence[Task], size: int) -> list[Task]:
    """The first so many, of which at most two bring tools of their own, and never two of one name."""
    chosen: list[Task] = []
    names: set[str] = set()
    bringing = 0
    for task in tasks:
        own = {tool.name for tool in task.extra}
        if own and (bringing == 2 or own & names):  # noqa: PLR2004
            continue

        chosen.append(task)
        names |= own
        bringing += bool(own)
        if len(chosen) == size:
            break

    return chosen


def spec_of(tool: ExtraTool) -> ToolSpec:
    server, _, name = tool.name.rpartition("__")
    return ToolSpec(
        name=tool.name,
        server=server or "python",
        tool=name,
        description=tool.description,
        parameters=tool.parameters,
    )

r"""Tasks by name: a file, a folder, a generator.

tasks.toml, tasks.jsonl     [[task]] tables, or a task a line; rows of known question sets too (questions.py)
FOLDER                      Terminal-Bench's tasks, one or many (taskfolder.py)
coding                      small functions to write, judged by tests that nobody has seen
starter, starter:KIND,...   the families of questions that journeyman itself was trained with
gym:NAME                    a reasoning-gym generator
module:function             a function of your own that returns tasks

[[task]]
prompt = "How many bytes are in notes.txt, times 37?"
answer = "666"
match = "numeric"                   # or: checks = [{ verifier = "numeric", expected = "666" }]
files = { "notes.txt" = "eighteen letters.\n" }
oracle = [{ tool = "files__info", arguments = { path = "notes.txt" } },
          { tool = "calculator__calculate", arguments = { expression = "18 * 37" } }]
"""

import json
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from journeyman.errors import ConfigError, UsageError
from journeyman.safe import safe
from journeyman.tomlfile import as_text, explained, parse, read_once
from journeyman.traces.messages import Value
from journeyman.training import questions, taskfolder
from journeyman.training.generate import MORE, families, generate
from journeyman.training.tasks import Split, Task

A_FEW = 10
"""Tasks of each kind that a generator makes, where it is not told how many."""


class TaskFile(Value):
    task: tuple[Task, ...] = ()


def load_tasks(name: str, *, n: int | None = None, seed: int = 1, split: Split | None = None) -> list[Task]:
    """The tasks of that name, each once.

    Args:
        name: see above.
        n: how many; of a generator with several kinds, of each. None: all of a file, ten from a generator.
        seed: of a generator.
        split: only those of one split.

    Raises:
        ConfigError: a file or a task in it is not right, told with its line.
        UsageError: there is nothing of that name, or not so much of it.
    """
    source, _, rest = name.partition(":")
    if source == "starter":
        kinds = list(dict.fromkeys(each.strip() for each in rest.split(","))) if rest else list(families())
        return [task for kind in kinds for task in generate(kind, n or A_FEW, seed=seed, split=split or "train")]

    if source in MORE and not Path(name).exists():
        return generate(source, n or A_FEW, seed=seed, split=split or "train")

    if source == "gym":
        from journeyman.training import gym  # takes seconds to load

        return gym.generate(rest, n or A_FEW, seed=seed, split=split)

    found = _own(source, rest) if rest and not Path(name).exists() else _read(Path(name))
    unique = {task.key: task for task in found if split in {None, task.split}}
    if not unique:
        raise _empty(name, found, split)

    for task in unique.values():
        for check in task.verifiers:
            check.resolve()

    return list(unique.values())[:n]


def draw_more(name: str, n: int, *, seed: int = 1, split: Split | None = None) -> list[Task]:
    """As `load_tasks`, but what there is where a generator has not so many; a file is always all of it."""
    endless = name.partition(":")[0] in {"starter", "gym", *MORE}
    try:
        return load_tasks(name, n=n if endless else None, seed=seed, split=split)
    except UsageError:
        return load_tasks(name, n=n // 2, seed=seed, split=split)


def _empty(name: str, found: Sequence[Task], split: Split | None) -> UsageError:
    if found:
        other = "held out" if split == "train" else "to train on"
        return UsageError(f"All {len(found)} tasks of {name} are {other}.", fix="Ask for the others: --split")

    return UsageError(f"There is no task in {name}.", fix="Begin with two that work: journeyman tasks new FILE.toml")


def _read(path: Path) -> Sequence[Task]:
    if path.suffix == ".toml":
        text = as_text(read_once(path, link=True), path)
        return parse(TaskFile, text, str(path)).task

    if path.suffix in {".jsonl", ".json"}:
        return [_task(row, f"{path}:{line}", path.parent) for line, row in _rows(path)]

    if path.is_dir():
        return taskfolder.read_folder(path)

    if not path.exists():
        fix = "Give a .toml or .jsonl file, a folder, starter, starter:KIND,KIND, coding, gym:NAME or module:function."
        raise UsageError(f"There are no tasks {str(path)!r}.", fix=fix)

    raise UsageError(f"{path} is no file of tasks.", fix="Tasks are written in .toml or .jsonl files.")


def _rows(path: Path) -> Iterable[tuple[int, Any]]:
    """With the number of its line, from 1."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", fix="check the path; tasks are UTF-8 text") from None

    if text.lstrip().startswith("["):
        yield from enumerate(_json(text, str(path)), 1)
        return

    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield number, _json(line, f"{path}:{number}")


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: no JSON: {error}", fix="mend that line") from None


def _task(row: Any, where: str, beside: Path) -> Task:
    if isinstance(row, dict) and {"instance_id", "problem_statement", "patch", "test_patch"} <= row.keys():
        row = taskfolder.as_repository(row, where, beside)
    elif isinstance(row, dict):
        row = questions.as_task(row, where)

    try:
        return Task.model_validate(row)
    except ValidationError as problem:
        _, message, fix = explained(Task, problem)
        raise ConfigError(f"{where}: {safe(message)}", fix=fix) from None


def _own(module: str, name: str) -> list[Task]:
    try:
        function = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"The tasks {module}:{name} cannot be loaded: {error}.", fix="Name module:function.") from None

    made = list(function())
    wrong = next((each for each in made if not isinstance(each, Task)), None)
    if wrong is not None:
        raise ConfigError(
            f"{module}:{name} returned {wrong!r}, which is no task", fix="return a list of journeyman.Task"
        )

    return made

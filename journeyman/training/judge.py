"""Did a run do its task: the answer by the task's verifier, and the files as they must be afterwards."""

from collections.abc import Sequence
from pathlib import Path

from journeyman.training.tasks import Task
from journeyman.verifiers import answer as verify
from journeyman.verifiers.score import Score


def judge(task: Task, answer: str | None, root: Path, *, calls: Sequence[str] = ()) -> Score:
    """`root` is the folder the run worked in, `calls` the aliases it called.

    Small talk is right if it says something and calls nothing; a refusal is right if it says so and changed nothing.
    """
    score = _answer(task, answer, calls)
    if score.value != 1:
        return score

    for path, text in task.expects.items():
        target = root / path
        found = target.read_text(encoding="utf-8") if target.is_file() else None
        if found != text:
            return score.model_copy(update={"value": 0.0, "evidence": f"{path} holds {found!r}, not {text!r}"})

    return score


def _answer(task: Task, answer: str | None, calls: Sequence[str]) -> Score:
    match task.match:
        case "numeric":
            return verify.numeric(answer, task.answer)
        case "exact":
            return verify.exact(answer, task.answer)
        case "contains":
            return verify.contains(answer, task.answer)
        case "refusal":
            return verify.refusal(answer)
        case "any":
            return verify.talk(answer, calls)

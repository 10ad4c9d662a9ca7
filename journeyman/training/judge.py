"""Did a run do its task: the reward that the task's checks give it, judged in this process.

For oracles, cheats and generated tasks, whose verifiers are quick and ours. Runs of other tasks are verified in
processes of their own (`verifiers/desk.py`).
"""

from collections.abc import Mapping, Sequence

from journeyman.traces.messages import AssistantMessage, Message, ToolResult
from journeyman.training.tasks import Task
from journeyman.verifiers.case import Called, Case
from journeyman.verifiers.check import verify_here
from journeyman.verifiers.recipe import reward
from journeyman.verifiers.score import Score


def judge(task: Task, case: Case) -> Score:
    """One score; a run that gave no answer has failed its task.

    Raises:
        ConfigError: a check names no verifier.
    """
    checks = task.verifiers
    scores = [verify_here(check, case) for check in checks]
    return scores[0] if len(scores) == 1 else reward(checks, scores)


def case_of(task: Task, messages: Sequence[Message], files: Mapping[str, str | None]) -> Case:
    """The case that a conversation makes, of which there is no trace."""
    results = {message.call_id: message for message in messages if isinstance(message, ToolResult)}
    calls = [
        Called(
            step=step,
            tool=call.name.replace("__", ".", 1),
            arguments=None,
            status="error" if results[call.id].is_error else "ok",
            text=results[call.id].text,
        )
        for step, message in enumerate((m for m in messages if isinstance(m, AssistantMessage)), 1)
        for call in message.calls
    ]
    last = messages[-1] if messages else None
    answer = last.text if isinstance(last, AssistantMessage) else None
    return Case(prompt=task.prompt, answer=answer, calls=tuple(calls), files=dict(files))

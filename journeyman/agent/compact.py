"""Makes room in the model's window: older tools' results first, then a summary in the model's own words.

The prompt, the plan, what the user said since and the last steps stay. Each time is a `compacted` event that the run's
state folds, so resume, fork and replay go on from the same conversation; the next prompt does not extend the one before
and is marked as a new root. The question for a summary does extend it, and is read from the cache.
"""

from collections.abc import Sequence

from journeyman.agent.ask import ask_for_words
from journeyman.agent.run import Run
from journeyman.agent.window import guess, tokens
from journeyman.errors import ContextOverflow, Refusal
from journeyman.traces.events import Compacted, MessageAdded
from journeyman.traces.messages import AssistantMessage, Message, ToolResult

SHORT = 200
"""Characters that are left of an older result."""
QUESTION = (
    "The conversation gets too long, and what came before your last steps will be left out. Write a summary for"
    " yourself, in at most 150 words and without calling a tool: what was asked, what you found (names, numbers and"
    " paths exactly), what was changed, what is still to be done."
)
SAID = 2000
"""Characters of each later message of the user's that are kept."""
MARKS = {"done": "x", "active": ">", "pending": " ", "dropped": "-"}


async def make_room(run: Run) -> None:
    """Bring the conversation to about half of the window. Raises as `ask`."""
    kept = _last_steps(run.state.messages, run.window.size // 4)
    if (
        kept >= len(run.state.messages) - 1
    ):  # the prompt fills it, or the last step: the model will tell if it is too much
        return

    if run.window.tokens - _to_gain(run.state.messages, kept) <= run.window.size // 2:
        _shorten(run, kept, SHORT)
    else:
        await sum_up(run)


async def squeeze(run: Run) -> bool:
    """Make room after the model found the conversation too long; False where there is nothing to leave out."""
    before = list(run.state.messages)
    room = run.window.size // 4
    _shorten(run, _last_steps(before, room), SHORT)
    _shorten(run, 0, room // 2)
    if _last_steps(run.state.messages, room) < len(run.state.messages) - 1:
        await sum_up(run)

    return before != run.state.messages


async def sum_up(run: Run) -> None:
    """Have the model say what the older steps came to, or list them, and go on from that. Raises as `ask`."""
    asked = run.state.asked_summary
    if not isinstance(run.state.messages[-1], AssistantMessage) or asked is None:
        await _ask_summary(run)
        asked = run.state.asked_summary

    whole = run.state.messages[:asked]
    last = run.state.messages[-1]
    answered = asked is not None and isinstance(last, AssistantMessage) and run.state.finish != "refusal"
    words = last.text.strip() if answered else ""
    kept = _last_steps(whole, run.window.size // 4)
    summary = _summary(run, words or _listed(whole[1 : len(whole) - kept], run.window.size // 2))
    _go_on(run, Compacted(kept=kept, summary=summary, tokens=run.window.tokens))


async def _ask_summary(run: Run) -> None:
    """Where there is a step left for it, and room."""
    words = max(64, run.window.size // 12)
    if run.budget.last_step or run.window.tokens + words + tokens(QUESTION) > run.window.size:
        return

    if run.state.asked_summary is None:
        run.emit(MessageAdded(text=QUESTION, origin="compaction"))

    sampling = run.sampling.model_copy(update={"max_tokens": min(run.sampling.max_tokens, words)})
    try:
        await ask_for_words(run, sampling)
    except (ContextOverflow, Refusal):
        return


def _shorten(run: Run, kept: int, length: int) -> None:
    messages = run.state.messages
    if any(isinstance(each, ToolResult) and len(each.text) > length for each in messages[: len(messages) - kept]):
        _go_on(run, Compacted(kept=kept, results=length, tokens=run.window.tokens))


def _go_on(run: Run, compacted: Compacted) -> None:
    """From the new conversation: what the model remembers of the old one would be taken for its beginning."""
    run.emit(compacted)
    run.model.forget(run.run_id)


def _to_gain(messages: Sequence[Message], kept: int) -> int:
    older = (each for each in messages[: len(messages) - kept] if isinstance(each, ToolResult))
    return sum(max(0, guess(each) - SHORT // 2) for each in older)


def _last_steps(messages: Sequence[Message], room: int) -> int:
    """How many messages at the end fit, in whole steps; the last step and what the user said last always do."""
    kept = total = 0
    for n, message in enumerate(reversed(messages[1:]), 1):
        total += guess(message)
        if kept and total > room:
            break

        if not isinstance(message, ToolResult):
            kept = n

    return kept


def _summary(run: Run, words: str) -> str:
    """What stands for the steps that were left out; bounded, so that it is no burden itself."""
    parts = [f"Earlier steps were left out. What they came to:\n{words[: run.window.size // 2]}"]
    if run.state.said:
        said = "\n".join(text[:SAID] for text in run.state.said)
        parts.append(f"Since the first question the user said:\n{said[-run.window.size // 2 :]}")

    if run.state.plan:
        parts.append("The plan:\n" + "\n".join(f"[{MARKS[step.status]}] {step.text}" for step in run.state.plan))

    return "\n\n".join(parts)


def _listed(messages: Sequence[Message], length: int) -> str:
    """The newest of the calls and what came of them, a line each, where the model gives no summary."""
    calls = {call.id: call for each in messages if isinstance(each, AssistantMessage) for call in each.calls}
    lines: list[str] = []
    for each in reversed(messages):
        if not isinstance(each, ToolResult) or (call := calls.get(each.call_id)) is None:
            continue

        lines.insert(0, f"{call.name}({call.arguments[:100]}) = {each.text[:100].strip()}".replace("\n", " "))
        length -= len(lines[0])
        if length < 0:
            break

    return "\n".join(lines) or "No call was made."

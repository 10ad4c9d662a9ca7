"""Practice as ART's trajectories, a group a line (`art.TrajectoryGroup`), each model call as the exchange it might have
been with a server that says its tokens: ART then needs no tokenizer.

    {"trajectories": [{"exchanges": {"chat_completions": [{"request": ..., "response": ...}]}, "reward": 1.0,
     "metadata": {"run_id": "...", "sample": 0}}], "metadata": {"group": "BATCH/TASK"}}

Lost on the way: decisions, plans. Not written, beside what `grpo` does not write: runs in which a token was forced
(budget forcing, a prefill), because ART has no mask within an answer and would train on it.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from journeyman.traces.export import Skip
from journeyman.traces.export.messages import tool, written
from journeyman.traces.export.practice import Call, Practice, calls, practice
from journeyman.traces.export.sequences import Tokens, Turn
from journeyman.traces.messages import ToolCall
from journeyman.traces.writer import Stored


def lines(run: Sequence[Stored]) -> Iterator[str]:
    """Group and trajectory, for `gathered`."""
    attempt = practice(run)
    turns = attempt.turns
    if not all(all(sequence.mask[turn.at : turn.end]) for sequence, turn in turns.values()):
        raise Skip("a token in it was forced, and ART would train on it")

    known = [call for call in calls(run) if call.event.step in turns]
    row = {
        "exchanges": {"chat_completions": [_exchange(attempt, call, *turns[call.event.step]) for call in known]},
        "reward": attempt.reward,
        "metadata": {"run_id": attempt.run_id, "sample": attempt.sample},
    }
    yield json.dumps([attempt.group, json.dumps(row, ensure_ascii=False)])


def gathered(attempts: Iterable[str]) -> Iterator[str]:
    groups: dict[str, list[str]] = defaultdict(list)
    for line in attempts:
        group, row = json.loads(line)
        groups[group].append(row)

    for group, rows in groups.items():
        yield f'{{"trajectories": [{", ".join(rows)}], "metadata": {json.dumps({"group": group})}}}'


def _exchange(attempt: Practice, call: Call, sequence: Tokens, turn: Turn) -> dict[str, Any]:
    started, ids = attempt.started, sequence.ids[turn.at : turn.end]
    system = [{"role": "system", "content": started.instructions}] if started.instructions else []
    request: dict[str, Any] = {
        "model": started.model,
        "messages": system + [written(message, _called) for message in call.before],
        "temperature": 1.0,
    }
    if started.tools:
        request["tools"] = [tool(spec) for spec in started.tools]

    pairs = zip(ids, sequence.drawn(turn.at, turn.end), strict=True)
    content = [{"token": f"token_id:{id_}", "logprob": value, "top_logprobs": []} for id_, value in pairs]
    choice = {
        "index": 0,
        "finish_reason": call.finish,
        "message": written(call.event.message, _called),
        "logprobs": {"content": content},
        "token_ids": ids,
    }
    response = {
        "id": f"{attempt.run_id}/{turn.step}",
        "object": "chat.completion",
        "created": call.done // 1_000_000,
        "model": started.model,
        "choices": [choice],
        "prompt_token_ids": sequence.ids[: turn.at],
    }
    times = {"start_time": _time(call.asked), "end_time": _time(call.done)}
    return {**times, "request": request, "response": response}


def _time(at: int) -> str:
    return datetime.fromtimestamp(at / 1e6, UTC).isoformat()


def _called(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}

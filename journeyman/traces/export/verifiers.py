"""Practice as the episodes of verifiers 0.4 (`WireEpisode`), which prime-rl reads too, a run a line.

Each message is a node; the tokens that a model call read for the first time and those it wrote are in the node of its
answer, as verifiers itself does where a renderer does not say which token is whose. A branch of the graph is a sequence
with its mask and log-probabilities. Full precision: verifiers' own `to_record()` rounds to four digits.

Lost on the way: decisions, plans, budgets, what only a provider can read. The reward is the run's; scores of single
checks are metrics. What is not written is what `grpo` does not write.
"""

import json
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

from journeyman.traces.events import SampleScored
from journeyman.traces.export.messages import tool, written
from journeyman.traces.export.practice import Call, Practice, calls, practice
from journeyman.traces.export.sequences import Tokens, Turn
from journeyman.traces.listed import REWARD
from journeyman.traces.messages import ToolCall
from journeyman.traces.writer import Stored

VERSION = version("journeyman")  # a file is read for it


def lines(run: Sequence[Stored]) -> Iterator[str]:
    attempt = practice(run)
    graph = _Graph(attempt)
    for call in calls(run):
        graph.add(call)

    scores = (each.event for each in run if isinstance(each.event, SampleScored))
    trace = {
        "id": attempt.run_id,
        "verifiers": {"version": f"none: journeyman {VERSION}"},
        "task": _task(attempt),
        "agent": {"config": {"model": attempt.started.model}, "trainable": True},
        "tools": graph.tools,
        "nodes": graph.nodes,
        "calls": graph.calls,
        "rewards": {REWARD: {"score": attempt.reward, "weight": 1.0}},
        "metrics": {event.name: event.score for event in scores if event.name != REWARD},
        "info": attempt.about,
        "is_completed": True,
        "ok": True,
        "timing": {"start": run[0].at / 1e6},
    }
    episode = {"id": attempt.run_id, "task": trace["task"], "group": {"id": attempt.group}, "ok": True}
    yield json.dumps(episode | {"traces": [trace]}, ensure_ascii=False)


def _task(attempt: Practice) -> dict[str, Any]:
    started = attempt.started
    data = {"prompt": started.prompt, "system_prompt": started.instructions or None}
    return {"type": "Task", "data": data, "key": started.sample.task if started.sample else None}


class _Graph:
    def __init__(self, attempt: Practice) -> None:
        self.nodes: list[dict[str, Any]] = []
        self.calls: list[dict[str, Any]] = []
        self.tools = [{"type": "function", **tool(spec)["function"]} for spec in attempt.started.tools]
        self._attempt = attempt
        self._turns = attempt.turns
        self._known = 0

    def add(self, call: Call) -> None:
        """The messages that a call read for the first time, and its answer; all of them where a sequence begins."""
        if call.event.step not in self._turns:  # of a sequence in which the model drew nothing
            return

        sequence, turn = self._turns[call.event.step]
        if turn.begin == 0:
            self._begin(call.asked)

        for message in call.before[self._known :]:
            self._node(written(message, _called), call.asked)

        self._known = len(call.before) + 1
        self._node(written(call.event.message, _called), call.done, **_tokens(sequence, turn))
        self.calls.append(_call(call, len(self.nodes) - 1, self._attempt.started.model))

    def _begin(self, at: int) -> None:
        self._known = 0
        self._parent: int | None = None
        if self._attempt.started.instructions:
            self._node({"role": "system", "content": self._attempt.started.instructions}, at)

    def _node(self, message: dict[str, Any], at: int, **more: Any) -> None:
        node = {"parent": self._parent, "message": message, "timestamp": at / 1e6, **more}
        if self._parent is None:
            node["tools"] = self.tools

        self._parent = len(self.nodes)
        self.nodes.append(node)


def _tokens(sequence: Tokens, turn: Turn) -> dict[str, Any]:
    mask = sequence.mask[turn.begin : turn.end]
    logprobs = sequence.logprobs[turn.begin : turn.end]
    return {
        "sampled": True,
        "token_ids": sequence.ids[turn.begin : turn.end],
        "mask": [bool(drawn) for drawn in mask],
        "logprobs": [value for value, drawn in zip(logprobs, mask, strict=True) if drawn],
    }


def _call(call: Call, node: int, model: str) -> dict[str, Any]:
    return {
        "node": node,
        "model": model,
        "sampling": call.sampling,
        "finish_reason": call.finish,
        "usage": {
            "prompt_tokens": call.event.usage.prompt_tokens - call.event.usage.cached_tokens,
            "cached_input_tokens": call.event.usage.cached_tokens,
            "completion_tokens": call.event.usage.completion_tokens,
        },
        "time": {"start": call.asked / 1e6, "end": call.done / 1e6},
    }


def _called(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "name": call.name, "arguments": call.arguments}

"""From conversations to the token ids the runtime would have seen."""

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any

from journeyman.agent.models.renderer import Renderer, Segment, joined
from journeyman.traces.messages import AssistantMessage, Message, ToolSpec

Tokenise = Callable[..., list[int]]
"""(text, control=) -> ids; special tokens are recognised in control text only."""


def tokeniser(tokens: Any) -> Tokenise:
    """As a model's own tokenizer does it; its ids equal those of the engine."""

    def tokenise(text: str, *, control: bool) -> list[int]:
        return tokens(text, add_special_tokens=False, split_special_tokens=not control).input_ids if text else []

    return tokenise


def ids_of(tokenise: Tokenise, segments: Iterable[Segment]) -> list[int]:
    return [token for segment in joined(segments) for token in tokenise(segment.text, control=segment.control)]


def encode(
    tokenise: Tokenise,
    renderer: Renderer,
    messages: Sequence[Message],
    instructions: str = "",
    tools: Sequence[ToolSpec] = (),
) -> tuple[list[int], list[int]]:
    """Ids of a conversation, and 1 for those the assistant wrote, with the token that ended its turn.

    It begins with somebody else's words and ends with the assistant's.
    """
    ids: list[int] = []
    learnt: list[int] = []

    def add(segments: Iterable[Segment], learn: int) -> None:
        new = ids_of(tokenise, segments)
        ids.extend(new)
        learnt.extend([learn] * len(new))

    done = 0
    for spoken, turns in groupby(messages, key=lambda message: message.type == "assistant"):
        given = list(turns)
        done += len(given)
        if spoken:
            for message in given:
                add(_written(renderer, message, last=done == len(messages)), 1)
        elif ids:
            add(renderer.more(given), 0)
        elif instructions or tools:
            add(renderer.prompt(instructions, tools, given), 0)
        else:
            add(renderer.turns(given), 0)

    return ids, learnt


def _written(renderer: Renderer, message: Message, *, last: bool) -> list[Segment]:
    if not isinstance(message, AssistantMessage):
        return []

    called = bool(message.calls)
    ends = renderer.closing if last else (renderer.end, renderer.kept[-1])
    return [*renderer.completion(message), Segment(ends[called], control=True)]

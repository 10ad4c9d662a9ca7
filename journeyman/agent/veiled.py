"""Events without secrets: what is hidden before anybody reads, folds or stores an event.

A model therefore reads placeholders, and what it reads is what is stored. Two cases are more than a replacement:

- A person typed a secret (in the prompt, a later message, an approval): what the run was told is not what is stored, so
  the event is marked, and no token of the run is stored from there on.
- A model wrote one by itself: its words are not what its tokens say, so the tokens of that call are not stored, nor the
  provider's own copy of the words.
"""

import os
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import BaseModel

from journeyman.home import placeholder_key
from journeyman.traces.events import ApprovalAnswered, Event, MessageAdded, ModelDelta, ModelResponded, RunStarted
from journeyman.traces.messages import Thinking, Tokens, ToolCall
from journeyman.veil import Veil, named, over

E = TypeVar("E", bound=Event)
OWN = frozenset(
    {"type", "call_id", "id", "token", "status", "usage", "tokens", "provider_state", "signature", "sampling"}
)
"""Fields that hold our own words, or what only its provider can read."""
UNTOLD = Tokens(level="text")


def veil_of(secrets: Iterable[str], given: Mapping[str, str]) -> Veil:
    """Knows what the settings name, what this process's variables hold, and what servers are given.

    Raises:
        ConfigError: a secret that is named cannot be had.
    """
    return Veil(named(secrets, {**os.environ, **given}), placeholder_key)


def veiled(event: E, veil: Veil, *, typed: bool) -> E:
    """The event as everybody may read it; the same object where nothing is hidden.

    Args:
        event: what happened.
        veil: the run's.
        typed: a person has typed a secret in this run.
    """
    if isinstance(event, ModelDelta):  # words of a model that has read none
        return event

    changed = cast("E", _value(event, veil))
    if isinstance(changed, ModelResponded):
        if changed is not event:
            message = changed.message.model_copy(update={"provider_state": None})
            changed = changed.model_copy(update={"message": message})

        if changed.tokens is not None and (typed or changed is not event):
            return changed.model_copy(update={"tokens": UNTOLD.model_copy(update={"root": changed.tokens.root})})
    elif changed is not event and _typed(event, changed):
        return changed.model_copy(update={"secret": True})

    return changed


def _typed(event: Event, changed: Event) -> bool:
    if isinstance(event, RunStarted) and isinstance(changed, RunStarted):
        return event.prompt is not changed.prompt

    return isinstance(event, ApprovalAnswered) or (isinstance(event, MessageAdded) and event.origin == "user")


def _value(value: Any, veil: Veil) -> Any:
    if isinstance(value, BaseModel):
        return _model(value, veil)

    if isinstance(value, tuple):
        items = [_value(item, veil) for item in value]
        return value if all(a is b for a, b in zip(items, value, strict=True)) else tuple(items)

    return over(value, veil.hide)


def _model(value: BaseModel, veil: Veil) -> BaseModel:
    changed = {}
    for name in _fields(type(value)):
        old = getattr(value, name)
        new = veil.hide_json(old) if name == "arguments" and isinstance(value, ToolCall) else _value(old, veil)
        if new is not old:
            changed[name] = new

    if changed and isinstance(value, Thinking):
        changed["signature"] = None

    return value.model_copy(update=changed) if changed else value


@cache
def _fields(kind: type[BaseModel]) -> tuple[str, ...]:
    return tuple(name for name in kind.model_fields if name not in OWN)

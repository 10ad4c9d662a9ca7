"""Events without secrets: what is hidden before anybody reads, folds or stores an event.

A model therefore reads placeholders, and what it reads is what is stored. Two cases are more than a replacement:

- A person typed a secret (in the prompt, a later message, an approval): what the run was told is not what is stored, so
  the event is marked, and no token of the run is stored from there on.
- A model wrote one by itself: its words are not what its tokens say, so the tokens of that call are not stored, nor the
  provider's own copy of the words.
"""

import os
from collections.abc import Iterable
from functools import cache
from typing import Any, Literal, TypeVar, cast, get_args, get_origin

from pydantic import BaseModel

from journeyman.home import placeholder_key
from journeyman.traces.events import (
    ApprovalAnswered,
    CallStarted,
    Event,
    Inside,
    MessageAdded,
    ModelDelta,
    ModelRequested,
    ModelResponded,
    RunStarted,
)
from journeyman.traces.messages import Thinking, Tokens, ToolCall
from journeyman.veil import Veil, named, over

E = TypeVar("E", bound=Event)
OWN = frozenset(
    {"type", "call_id", "id", "token", "status", "usage", "tokens", "provider_state", "signature", "sampling"}
)
"""Fields that hold our own words, or what only its provider can read."""
SILENT = frozenset({ModelDelta, ModelRequested, CallStarted})
"""Events without words of others; a delta is written by a model that has read no secret."""
UNTOLD = Tokens(level="text")


def veil_of(secrets: Iterable[str], given: Iterable[tuple[str, str]]) -> Veil:
    """Knows what the settings name, what this process's variables hold, and what servers are given.

    Raises:
        ConfigError: a secret that is named cannot be had.
    """
    return Veil(named(secrets, os.environ, given), placeholder_key)


def veiled(event: E, veil: Veil, *, typed: bool) -> E:
    """The event as everybody may read it; the same object where nothing is hidden.

    Args:
        event: what happened.
        veil: the run's.
        typed: a person has typed a secret in this run.
    """
    if type(event) in SILENT:
        return event

    if isinstance(event, Inside):
        inner = veiled(event.event, veil, typed=typed)
        return event if inner is event.event else event.model_copy(update={"event": inner})

    texts: list[str] = []
    _gather(event, texts)
    changed = cast("E", _value(event, veil)) if veil.suspects("\0".join(texts)) else event
    if changed is event and not typed:
        return event

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


def _gather(value: Any, texts: list[str]) -> None:
    """Every text in it: most events have nothing to hide, and one look at them all tells."""
    kind = type(value)
    if kind is str:
        texts.append(value)
    elif kind is tuple or kind is list:
        for item in value:
            _gather(item, texts)
    elif kind is dict:
        for key, item in value.items():
            texts.append(key)
            _gather(item, texts)
    elif issubclass(kind, BaseModel):
        fields = value.__dict__
        for name in _fields(kind):
            item = fields[name]
            if type(item) is str:
                texts.append(item)
            elif item:
                _gather(item, texts)


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
    return tuple(name for name, field in kind.model_fields.items() if name not in OWN and _may_hold(field.annotation))


def _may_hold(annotation: Any) -> bool:
    """Text of whoever's making."""
    if get_origin(annotation) is Literal:
        return False

    parts = get_args(annotation)
    return any(map(_may_hold, parts)) if parts else annotation not in {int, float, bool, type(None)}

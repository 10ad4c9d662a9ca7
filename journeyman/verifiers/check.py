"""A verifier by name, with what it is told: how tasks say what counts as done.

[[task.checks]]
verifier = "numeric"        # one of VERIFIERS, or `module:function` of your own, made with @verifier
expected = "1579"           # everything else is the verifier's own parameter
weight = 2                  # optional; so is `gate = true`: anything less than 1 makes the reward 0
"""

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any, TypeVar, get_type_hints

import anyio
from pydantic import Field, JsonValue, PydanticUserError, TypeAdapter, ValidationError, model_validator

from journeyman.errors import ConfigError
from journeyman.traces.messages import Value
from journeyman.verifiers.case import Case
from journeyman.verifiers.score import Score

VERIFIERS = {
    "numeric": "journeyman.verifiers.answer:numeric",
    "exact": "journeyman.verifiers.answer:exact",
    "contains": "journeyman.verifiers.answer:contains",
    "refusal": "journeyman.verifiers.answer:refusal",
    "talk": "journeyman.verifiers.answer:talk",
    "choice": "journeyman.verifiers.answer:choice",
    "math": "journeyman.verifiers.maths:maths",
    "schema": "journeyman.verifiers.schema:schema",
    "files": "journeyman.verifiers.state:files",
    "functions": "journeyman.verifiers.program:functions",
    "program": "journeyman.verifiers.program:program",
    "tests": "journeyman.verifiers.hidden:hidden",
    "calls": "journeyman.verifiers.trace:calls",
    "steps": "journeyman.verifiers.trace:steps",
    "grounding": "journeyman.verifiers.grounding:grounding",
    "format": "journeyman.verifiers.form:template",
    "length": "journeyman.verifiers.form:length",
    "language": "journeyman.verifiers.form:language",
    "human": "journeyman.verifiers.human:human",
}
"""Name -> where it is. A new verifier is a function and a line here."""

F = TypeVar("F", bound=Callable[..., Any])
_OWN = {"verifier", "name", "weight", "gate", "parameters"}


def verifier(version: str, *, answer: bool = True) -> Callable[[F], F]:
    """Make a function a verifier: of a `Case` and the task's parameters, giving a `Score`; it may be async.

    Args:
        version: `name/1`, stored with each score.
        answer: a run without an answer is nothing it could judge.
    """

    def mark(function: F) -> F:
        marked: Any = function
        marked.__verifier__, marked.__answer__ = version, answer
        return function

    return mark


class Check(Value):
    verifier: str
    name: str = ""
    """What the score is called; the verifier's name by default."""
    weight: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    gate: bool = False
    parameters: dict[str, JsonValue] = {}

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, given: Any) -> Any:
        """Parameters may stand beside the check's own fields."""
        if not isinstance(given, Mapping):
            return given

        own = {key: value for key, value in given.items() if key in _OWN}
        rest = {key: value for key, value in given.items() if key not in _OWN}
        return {**own, "parameters": {**(own.get("parameters") or {}), **rest}}

    @property
    def title(self) -> str:
        return self.name or self.verifier

    def resolve(self) -> Any:
        """The function behind the name, and that it takes these parameters.

        Raises:
            ConfigError: there is none, or it does not.
        """
        where = VERIFIERS.get(self.verifier, self.verifier)
        module, _, name = where.partition(":")
        try:
            found = getattr(import_module(module), name) if name else None
        except (ImportError, AttributeError) as error:
            raise ConfigError(f"The verifier {self.verifier!r} cannot be loaded: {error}.", fix=_near(where)) from error

        if not hasattr(found, "__verifier__"):
            raise ConfigError(f"There is no verifier {self.verifier!r}.", fix=_near(self.verifier))

        try:
            inspect.signature(found).bind(None, **self.parameters)
        except TypeError as error:
            raise ConfigError(f"The verifier {self.verifier!r}: {error}.", fix=_usage(self.verifier, found)) from None

        for name, why in _mistyped(found, self.parameters):
            message = f"The verifier {self.verifier!r}: {name} = {self.parameters[name]!r}: {why}."
            raise ConfigError(message, fix=_usage(self.verifier, found))

        return found


def verify_here(check: Check, case: Case) -> Score:
    """Run a verifier in this process, to its end, however long that takes; its failure is a score too.

    Raises:
        ConfigError: the check names no verifier.
    """
    function: Any = check.resolve()
    if function.__answer__ and case.answer is None:
        return Score(status="na", verifier=function.__verifier__, evidence="there is no answer")

    try:
        if inspect.iscoroutinefunction(function):
            score = anyio.run(lambda: function(case, **check.parameters))
        else:
            score = function(case, **check.parameters)
    except Exception as error:  # noqa: BLE001 - whatever a verifier does wrong, the run is unjudged, not wrong
        score = Score.missing(f"{type(error).__name__}: {error}", "error")

    return score.model_copy(update={"verifier": function.__verifier__})


def _mistyped(function: Any, parameters: Mapping[str, JsonValue]) -> Iterator[tuple[str, str]]:
    """The parameters that are not what the function's annotations say, and why; what says nothing fits."""
    try:
        hints = get_type_hints(function)
    except (NameError, TypeError):
        return

    for name, value in parameters.items():
        try:
            TypeAdapter(hints.get(name, Any)).validate_json(json.dumps(value), strict=True)
        except ValidationError as error:
            yield name, error.errors()[0]["msg"]
        except PydanticUserError:  # a class that JSON knows nothing of
            continue


def _near(name: str) -> str:
    near = get_close_matches(name, VERIFIERS, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return f"{hint}There are {', '.join(VERIFIERS)}; one of your own is `module:function`, made with @verifier."


def _usage(name: str, function: Any) -> str:
    parameters = [str(each) for each in inspect.signature(function).parameters.values()][1:]
    return f"{name} takes {', '.join(parameters) or 'nothing'}."

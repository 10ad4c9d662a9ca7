"""Python functions as tools: `@tool` reads a signature and makes it something a model can call.

    @tool
    def add(a: int, b: int = 0) -> int:
        "Add two numbers."
        return a + b

The function stays what it was: `add(1, 2)` still is 3. Arguments are checked against the annotations by a validator
that is built once; what a function raises is text for the model, and cancelling passes through.

Where it runs: a coroutine function on the event loop. A plain function in a thread beside it (0.1 ms), so that one that
blocks, or never returns, stops nothing but itself. `thread=False` calls it directly (0.1 us): for one that is always
quick.
"""

import inspect
import re
import warnings
from collections.abc import Callable
from functools import partial, update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar, get_type_hints, overload

from pydantic import BaseModel, ConfigDict, Field, JsonValue, PydanticUserError, ValidationError, create_model
from pydantic.json_schema import GenerateJsonSchema, PydanticJsonSchemaWarning

from journeyman.errors import JourneymanError, ServerError, ToolError, UsageError
from journeyman.tools.arguments import misfit, refuse_oversized, unknown
from journeyman.tools.result import output
from journeyman.tools.thread import in_thread
from journeyman.tools.tool import Output, Report
from journeyman.traces.messages import ToolSpec

P = ParamSpec("P")
R = TypeVar("R")

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Function(Generic[P, R]):
    """A Python function that is a `Tool` as well.

    Raises:
        UsageError: its signature cannot be offered to a model.
    """

    def __init__(
        self,
        function: Callable[P, R],
        *,
        name: str | None = None,
        description: str | None = None,
        read_only: bool = False,
        idempotent: bool = False,
        thread: bool = True,
        server: str = "python",
    ) -> None:
        update_wrapper(self, function)
        self._function = function
        self._in_thread = thread and not _is_async(function)
        name = name or getattr(function, "__name__", type(function).__name__)
        if not NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} cannot be a tool's name", fix='give it one: @tool(name="...") of letters, digits, _ and -'
            )

        self._arguments, self._reporter = _arguments(function, name)
        self._validator = self._arguments.__pydantic_validator__
        self._serializer = self._arguments.__pydantic_serializer__
        self._names = {key: field.alias or key for key, field in self._arguments.model_fields.items()}
        self.spec = ToolSpec(
            name=name,
            server=server,
            tool=name,
            description=_first_paragraph(function) if description is None else description,
            parameters=_parameters(self._arguments, name),
            read_only=read_only,
            idempotent=idempotent,
        )

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<tool {self.spec.identity}>"

    def parse(self, arguments: str) -> dict[str, JsonValue]:
        """Only what the model gave, in canonical form (`"7"` for an int becomes 7), defaults left out."""
        refuse_oversized(arguments)
        try:
            values = self._validator.validate_json(arguments.strip() or "{}")
        except ValidationError as error:
            raise self._misfit(error) from None

        return self._serializer.to_python(values, mode="json", by_alias=True, exclude_unset=True)

    async def call(self, arguments: dict[str, JsonValue], report: Report) -> Output:
        """Do it; arguments are validated again, as a person may have edited them."""
        try:
            values = self._validator.validate_python(arguments)
        except ValidationError as error:
            raise self._misfit(error) from None

        given = vars(values)
        kwargs = {name: given[key] for key, name in self._names.items()}
        if self._reporter:
            kwargs[self._reporter] = report

        try:
            value = await self._run(partial(self._function, **kwargs))
        except (ToolError, ServerError):
            raise
        except JourneymanError as error:  # of an agent inside the tool, say: not this run's end
            raise ToolError(error.line) from error
        except (Exception, SystemExit) as error:  # the boundary of the user's code: its failure is the model's to read
            raise ToolError(f"{type(error).__name__}: {error}") from error

        return output(value)

    async def _run(self, work: Callable[[], Any]) -> Any:
        value = await in_thread(work) if self._in_thread else work()
        return await value if inspect.isawaitable(value) else value

    def _misfit(self, error: ValidationError) -> ToolError:
        return misfit(self.spec, [self._problem(each) for each in error.errors(include_url=False)])

    def _problem(self, error: Any) -> str:
        where = ".".join(str(part) for part in error["loc"])
        match error["type"]:
            case "json_invalid":
                return f"the arguments are not valid JSON: {error['ctx']['error']}"
            case "missing":
                return f"{where} is missing"
            case "extra_forbidden":
                return unknown(where, self.spec.parameters)
            case _:
                return f"{where}: {error['msg']}" if where else error["msg"]


@overload
def tool(function: Callable[P, R], /) -> Function[P, R]: ...
@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    read_only: bool = False,
    idempotent: bool = False,
    thread: bool = True,
) -> Callable[[Callable[P, R]], Function[P, R]]: ...
def tool(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function a tool, bare or with options.

    Args:
        function: plain or async, with annotated parameters; a parameter annotated `Report` is handed the reporter.
        **options: `name` and `description` as the model reads them (from the function by default); `read_only` and
            `idempotent` say that it changes nothing, or nothing the second time; `thread` is told in the module.

    Raises:
        UsageError: the signature cannot be offered to a model.
    """
    return partial(Function, **options) if function is None else Function(function, **options)


def _is_async(function: Callable[..., Any]) -> bool:
    while isinstance(function, partial):
        function = function.func

    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _first_paragraph(function: Callable[..., Any]) -> str:
    return " ".join((inspect.getdoc(function) or "").split("\n\n", 1)[0].split())


def _arguments(function: Callable[..., Any], name: str) -> tuple[type[BaseModel], str | None]:
    """A model of the arguments, and the parameter that takes the reporter."""
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise UsageError(
            f"{name} is a generator", fix="return a list, or take a parameter annotated Report and tell progress by it"
        )

    fields: dict[str, Any] = {}
    reporter = None
    hints = _hints(function, name)
    for index, parameter in enumerate(inspect.signature(function).parameters.values()):
        _refuse(parameter, index, name)
        annotation = hints.get(parameter.name, Any)
        if annotation == Report:
            reporter = parameter.name
            continue

        default = ... if parameter.default is parameter.empty else parameter.default
        # An alias, since a field itself must not be named `schema`, `copy` or `_x`.
        fields[f"p{index}"] = (annotation, Field(default, alias=parameter.name))

    config = ConfigDict(extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=False)
    try:
        return create_model(name, __config__=config, **fields), reporter
    except PydanticUserError as error:
        raise UsageError(
            f"{name} cannot be a tool: {error.message}", fix="annotate its parameters with types that JSON has"
        ) from error


def _hints(function: Callable[..., Any], name: str) -> dict[str, Any]:
    plain = function if inspect.isroutine(function) or isinstance(function, type) else type(function).__call__
    try:
        return get_type_hints(plain, include_extras=True)
    except NameError as error:
        raise UsageError(
            f"{name} cannot be a tool: {error}", fix="import the annotated types at module level"
        ) from error


def _refuse(parameter: inspect.Parameter, index: int, name: str) -> None:
    if index == 0 and parameter.name == "self":
        raise UsageError(
            f"{name} is a method without its object", fix=f"make the bound method a tool: tool(thing.{name})"
        )

    if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY}:
        raise UsageError(f"{name} takes {parameter}, which a model cannot name", fix="use ordinary named parameters")


class _Untitled(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - a model does not need titles
        return False


def _parameters(model: type[BaseModel], name: str) -> dict[str, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", PydanticJsonSchemaWarning)
            schema = model.model_json_schema(by_alias=True, schema_generator=_Untitled)
    except (PydanticUserError, PydanticJsonSchemaWarning) as error:
        raise UsageError(
            f"{name} cannot be a tool: {str(error).splitlines()[0]}",
            fix="use parameter types and defaults that JSON has",
        ) from error

    definitions = schema.pop("$defs", {})
    try:
        schema = _inlined(schema, definitions)
    except RecursionError:  # a type that contains itself
        schema["$defs"] = definitions

    return {key: value for key, value in schema.items() if key not in {"title", "description"}}


def _inlined(node: Any, definitions: dict[str, Any]) -> Any:
    """The schema without references, which small models and grammars read more easily."""
    if isinstance(node, list):
        return [_inlined(each, definitions) for each in node]

    if not isinstance(node, dict):
        return node

    if isinstance(reference := node.get("$ref"), str):
        node = {**definitions[reference.removeprefix("#/$defs/")], **node}
        del node["$ref"]

    return {key: _inlined(value, definitions) for key, value in node.items()}

"""What a server offers, without a word of MCP's SDK, whose import alone takes longer than a server may take to start.

The tools are plain functions over a core. They return a `Reply` (or its text) and raise `ToolError`; both become
results the model reads, without prefixes; what else they return is a result already. Arguments a tool does not have are
refused rather than ignored: a misspelt one would silently do something else.
"""

import inspect
import json
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from types import FunctionType, MethodType
from typing import Any

import anyio.from_thread
import anyio.to_thread
from pydantic import BaseModel, TypeAdapter, ValidationError, create_model

from journeyman.errors import ToolError

Json = dict[str, Any]
Function = FunctionType | MethodType
Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]
Report = Callable[[float, float | None, str], Coroutine[Any, Any, None]]
"""What is done, of how much, and what is being done."""

_report: ContextVar[Report | None] = ContextVar("report", default=None)


@dataclass(frozen=True, slots=True)
class Reply:
    text: str
    data: BaseModel | None = None
    """Structured content; the tool's declared output."""
    more: Sequence[Json] = ()
    """Pictures, and links to what was made, as they go over the wire."""


@dataclass(frozen=True, slots=True)
class Offered:
    function: Function
    arguments: type[BaseModel]
    definition: Json
    """As `tools/list` tells it."""


@dataclass(frozen=True, slots=True)
class Files:
    """Resources whose addresses are a prefix and a path."""

    name: str
    description: str
    prefix: str
    read: Callable[[str], Awaitable[bytes]]
    """Raises ToolError, SandboxError."""


class Toolset:
    """The tools of one server.

    Args:
        name: the server's.
        instructions: what it is for, in a sentence.
        lifespan: opens and closes what the tools hold; entered by whoever calls them.
    """

    def __init__(self, name: str, instructions: str, *, lifespan: Lifespan | None = None) -> None:
        self.name, self.instructions, self.lifespan = name, instructions, lifespan
        self.tools: dict[str, Offered] = {}
        self.files: Files | None = None

    def offer(self, function: Function, hints: Json, output: type[BaseModel] | None = None) -> None:
        """Add a tool: its name, arguments and one-line description are the function's own.

        A plain function runs in a worker thread; an `async` one runs on the event loop and must not block it.
        """
        name, parameters = function.__name__, inspect.signature(function, eval_str=True).parameters
        fields: Json = {
            each.name: (each.annotation, ... if each.default is each.empty else each.default)
            for each in parameters.values()
        }
        arguments = create_model(f"{name}Arguments", **fields)
        definition = {
            "name": name,
            "description": function.__doc__ or "",
            "inputSchema": _bare(arguments.model_json_schema()),
            **({"outputSchema": TypeAdapter(output).json_schema()} if output else {}),
            "annotations": hints,
        }
        self.tools[name] = Offered(function, arguments, definition)

    async def call(self, name: str, given: Json, report: Report | None = None) -> Any:
        """The result, as `tools/call` answers it. `report` is told of the progress."""
        tool = self.tools.get(name)
        if tool is None:
            return error(f"there is no tool {name!r}; there are: {', '.join(self.tools)}")

        expected = tool.definition["inputSchema"]["properties"]
        if unknown := [argument for argument in given if argument not in expected]:
            return error(f"{name} has no argument {unknown[0]!r}; it takes {', '.join(expected) or 'none'}")

        try:
            arguments = dict(tool.arguments.model_validate(_unwrapped(given, expected)))
        except ValidationError as wrong:
            return error(_complaint(name, wrong))

        token = _report.set(report)
        try:
            if inspect.iscoroutinefunction(tool.function):
                return _result(await tool.function(**arguments))

            return _result(await anyio.to_thread.run_sync(partial(tool.function, **arguments)))
        except ToolError as refused:
            return error(str(refused))
        finally:
            _report.reset(token)


def progress(done: float, total: float | None, message: str) -> None:
    """Tell whoever waits for the call under way; from the thread that does it."""
    if (report := _report.get()) is not None:
        anyio.from_thread.run(report, done, total, message)


def hints(
    *, read_only: bool = False, destructive: bool = False, idempotent: bool = False, outside: bool = False
) -> Json:
    """All of a tool's annotations, said outright: the defaults of the protocol are the pessimistic ones.

    `outside`: it reaches beyond this machine.
    """
    return {
        "readOnlyHint": read_only,
        "destructiveHint": destructive,
        "idempotentHint": idempotent or read_only,
        "openWorldHint": outside,
    }


def error(text: str) -> Json:
    return {"content": [{"type": "text", "text": text}], "isError": True}


def _result(reply: Any) -> Any:
    if isinstance(reply, str):
        reply = Reply(reply)
    elif not isinstance(reply, Reply):
        return reply

    data = {"structuredContent": reply.data.model_dump(mode="json")} if reply.data else {}
    return {"content": [{"type": "text", "text": reply.text}, *reply.more], **data, "isError": False}


def _unwrapped(given: Json, expected: Json) -> Json:
    """Some clients send a list as the text of one."""
    return {
        name: _list(value) if isinstance(value, str) and expected[name].get("type") == "array" else value
        for name, value in given.items()
    }


def _list(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _complaint(name: str, wrong: ValidationError) -> str:
    first = wrong.errors(include_url=False, include_context=False, include_input=False)[0]
    argument = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return f"{name} needs the argument {argument!r}"

    return f"{name}: {argument}: {first['msg'][0].lower()}{first['msg'][1:]}"


def _bare(schema: Json) -> Json:
    """The schema without generated titles, which only repeat names, and closed to other arguments."""
    properties = {
        name: {key: value for key, value in field.items() if key != "title"}
        for name, field in schema["properties"].items()
    }
    rest = {key: value for key, value in schema.items() if key not in {"title", "properties"}}
    return {**rest, "properties": properties, "additionalProperties": False}

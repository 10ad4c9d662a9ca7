"""A call that a server turns into a task (the extension `io.modelcontextprotocol/tasks`), from the host's side.

The server hands out a handle and is asked how it goes. A handle outlives the connection: where the server was started
again in between, and remembers, the call goes on as if nothing had happened.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Literal

import anyio
from mcp import Client
from mcp.client import ClientRequestContext
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolResult,
    ElicitRequest,
    EmptyResult,
    ErrorData,
    InputRequest,
    Request,
    RequestParams,
    Result,
)
from pydantic import ConfigDict, TypeAdapter
from pydantic.alias_generators import to_camel

from journeyman.errors import ServerError, ToolError
from journeyman.safe import safe
from journeyman.tools.tool import Report

TASKS = "io.modelcontextprotocol/tasks"
HANDLE = "journeyman/task"
LEAST_S, MOST_S = 0.05, 5.0
"""Between two questions, whatever the server wishes."""
GOODBYE_S = 2.0
ANY: TypeAdapter[Any] = TypeAdapter(dict[str, Any])
Looked = tuple[CallToolResult | None, str, float]


class Created(Result):
    """What a server answers in place of a result."""

    result_type: Literal["task"] = "task"
    task_id: str
    poll_interval_ms: float | None = None


class _Params(RequestParams):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)
    task_id: str
    input_responses: dict[str, Any] | None = None


class _Get(Request[_Params, Literal["tasks/get"]]):
    method: Literal["tasks/get"] = "tasks/get"
    name_param = "taskId"


class _Update(Request[_Params, Literal["tasks/update"]]):
    method: Literal["tasks/update"] = "tasks/update"
    name_param = "taskId"


class _Cancel(Request[_Params, Literal["tasks/cancel"]]):
    method: Literal["tasks/cancel"] = "tasks/cancel"
    name_param = "taskId"


class Handles(ClientExtension):
    """Lets a server make tasks; a call then returns its handle, for `look` to follow."""

    identifier = TASKS

    def claims(self) -> list[ResultClaim[Any]]:
        async def keep(created: Created, _context: ClaimContext) -> CallToolResult:
            return CallToolResult(content=[], _meta={HANDLE: created.task_id})

        return [ResultClaim(result_type="task", model=Created, resolve=keep)]


def handle(result: CallToolResult) -> str | None:
    """That of the task which a call became."""
    return (result.meta or {}).get(HANDLE)


async def follow(
    task: str,
    report: Report,
    ask: Callable[[Callable[[Client], Awaitable[Looked]]], Awaitable[Looked]],
    live: Callable[[], Client | None],
) -> CallToolResult:
    """See a task to its end, over deaths of the server too.

    Args:
        task: its handle.
        report: hears the server's word of it.
        ask: asks the server, as `Server.ask`.
        live: the connection of now, if there is one.

    Raises:
        ToolError, ServerError: as `look`, and as `ask`.
    """
    answered: set[str] = set()
    said = ""
    try:
        while True:
            result, message, wait = await ask(lambda there: look(there, task, answered))
            if message != said:
                report(said := message, None)

            if result is not None:
                return result

            await anyio.sleep(wait)
    except anyio.get_cancelled_exc_class():
        if (there := live()) is not None:
            await stop(there, task)

        raise


async def look(client: Client, task_id: str, answered: set[str]) -> Looked:
    """How a task goes: its result if it is over, its server's word, and seconds until it should be asked again.

    Questions that it waits with are put to the user, each once.

    Raises:
        ToolError: it failed, or somebody stopped it.
        ServerError: the server does not know it.
        MCPError: it cannot be asked.
    """
    try:
        state = await client.session.send_request(_Get(params=_Params(task_id=task_id)), ANY)
    except MCPError as error:
        if error.code != INVALID_PARAMS:
            raise

        told = f"the server knows no more of the task ({safe(error.message, 100)}); it may or may not have been done"
        raise ServerError(told, maybe_done=True) from error

    status, message = state.get("status"), safe(str(state.get("statusMessage") or ""), 200)
    if status == "completed":
        return CallToolResult.model_validate(state.get("result"), by_name=False), message, 0.0

    if status in {"failed", "cancelled"}:
        error = state.get("error")
        why = error.get("message") if isinstance(error, dict) else ""
        raise ToolError(f"the task {status}: {safe(str(why or message))}".rstrip(": "))

    for key, question in (state.get("inputRequests") or {}).items():
        if key not in answered:
            await _answer(client, task_id, key, question)
            answered.add(key)  # not before: the server may die meanwhile, and ask once more

    wait = state.get("pollIntervalMs")
    seconds = wait / 1000 if isinstance(wait, int | float) else LEAST_S
    return None, message, min(max(seconds, LEAST_S), MOST_S)


async def _answer(client: Client, task_id: str, key: str, question: Any) -> None:
    context = ClientRequestContext(session=client.session, request_id=key, meta=None)
    request: InputRequest = TypeAdapter(InputRequest).validate_python(question, by_name=False)
    answer = await client.session.dispatch_input_request(context, request)
    if isinstance(answer, ErrorData):
        if not isinstance(request, ElicitRequest):
            raise MCPError(answer.code, answer.message)

        told: dict[str, Any] = {"action": "cancel"}
    else:
        told = answer.model_dump(by_alias=True, mode="json", exclude_none=True)

    params = _Params(task_id=task_id, input_responses={key: told})
    await client.session.send_request(_Update(params=params), EmptyResult)


async def stop(client: Client, task_id: str) -> None:
    """Ask the server to stop it; whether it does is its own affair."""
    with anyio.move_on_after(GOODBYE_S, shield=True):
        await client.session.send_request(_Cancel(params=_Params(task_id=task_id)), EmptyResult)

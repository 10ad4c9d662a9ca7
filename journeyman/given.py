"""What callers of `Agent` may give, made what the runtime takes; or said in words why it will not do."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

from pydantic import PydanticUserError, TypeAdapter

from journeyman.agent.models.model import Sampling
from journeyman.agent.outfit import builtins
from journeyman.agent.parts import Approver, nobody
from journeyman.config import Settings
from journeyman.errors import UsageError
from journeyman.mcp_servers.registry import SERVERS
from journeyman.tools.function import tool as make_tool
from journeyman.tools.target import Builtin, Command, Target, Url
from journeyman.tools.tool import Tool
from journeyman.traces.events import ApprovalAnswered, ApprovalRequested

Single = Tool | Target | Callable[..., Any] | str
Source = Single | Sequence[Single]
Approve = Callable[[ApprovalRequested], Any]
"""Answers a question of the policy: True, False, a reason to refuse, or the arguments to call with instead."""


def prompt_of(given: Any) -> str:
    if not isinstance(given, str) or not given.strip():
        raise UsageError(f"{given!r} is no prompt.", fix='Write agent("What is 37 * 43 - 12?").')

    try:
        given.encode()
    except UnicodeEncodeError as error:
        fix = "Such parts come of bytes that were no UTF-8; read them with errors='replace'."
        raise UsageError(f"The prompt is no text: {error}.", fix=fix) from None

    return given


def adapter_of(returns: Any) -> TypeAdapter[Any]:
    """Reads answers of a type."""
    try:
        adapter = TypeAdapter[Any](returns)
        adapter.json_schema()
    except PydanticUserError as error:
        why = str(error).partition("\n")[0]
        raise UsageError(f"returns={returns!r} is no type of an answer: {why}", fix="Write returns=int.") from None

    return adapter


def expect(kind: type, **given: Any) -> None:
    """Raises UsageError where what was given is neither of the kind nor None."""
    for name, value in given.items():
        if not (value is None or isinstance(value, kind)):
            article = "an" if kind.__name__[0] in "aeiou" else "a"
            raise UsageError(f"{name}={value!r} will not do.", fix=f"Give {article} {kind.__name__}.")


def sampling_of(sampling: Sampling, settings: Settings) -> Sampling:
    """With the thinking that is given, or set where it was not said with the sampling itself."""
    given = {name for name in ("think", "effort") if settings.origin(name) == f"--{name}"}
    names = given | ({"think", "effort"} - sampling.model_fields_set)
    return sampling.model_copy(update={name: getattr(settings, name) for name in names})


def sources_of(tools: Iterable[Source], root: Path) -> list[Tool | Target]:
    if isinstance(tools, str) or not isinstance(tools, Iterable):
        raise UsageError(f"tools={tools!r} is no list.", fix=f"Write tools=[{tools!r}].")

    return [source for each in tools for source in _source(each, root)]


def _source(each: Source, root: Path) -> Sequence[Tool | Target]:
    match each:
        case str() if each in SERVERS:
            return builtins(root, [each])
        case str():
            near = get_close_matches(each, SERVERS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"{each!r} is no built-in server.{hint}", fix=f"There are: {', '.join(SERVERS)}.")
        case Builtin() | Command() | Url():
            return [each]
        case Sequence():
            return sources_of(each, root)
        case _ if hasattr(each, "spec"):
            return [cast("Tool", each)]
        case _ if callable(each):
            return [make_tool(each)]
        case _:
            raise UsageError(f"{each!r} is no tool.", fix="Give functions, mcp(...) servers, or names such as 'files'.")


def approver_of(approve: Approve | None) -> Approver:
    if approve is None:
        return nobody

    async def ask(request: ApprovalRequested) -> ApprovalAnswered:
        answer = approve(request)
        answer = await answer if inspect.isawaitable(answer) else answer
        if isinstance(answer, ApprovalAnswered):
            return answer

        if not isinstance(answer, bool | str | Mapping | None):
            fix = "Return True or False, words that say why not, other arguments, or an ApprovalAnswered."
            raise UsageError(f"approve= answered {answer!r}, which is no answer.", fix=fix)

        arguments = dict(answer) if isinstance(answer, Mapping) else None
        reason = answer if isinstance(answer, str) else ""
        approved = arguments is not None or (bool(answer) and not reason)
        return ApprovalAnswered(
            call_id=request.call_id, approved=approved, by="callback", reason=reason, arguments=arguments
        )

    return ask

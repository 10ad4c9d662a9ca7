"""The agent's side of ACP for one client: its requests, answered from the engine.

The SDK reads and checks what comes in; what goes out is plain JSON, which the tests hold against the SDK's models.
"""

import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

from acp.agent.router import build_agent_router
from acp.exceptions import RequestError

from journeyman.engine import wire
from journeyman.engine.engine import Engine
from journeyman.engine.peer import Peer
from journeyman.engine.session import Session
from journeyman.engine.told import opened, options, state, used
from journeyman.engine.turn import Turn
from journeyman.engine.wire import OURS
from journeyman.errors import JourneymanError, UsageError
from journeyman.tools.target import Command, Target, Url, check_name

Json = dict[str, Any]
SETUP = {
    "type": "terminal",
    "id": "doctor",
    "name": "See what is missing",
    "description": "No login is needed: journeyman answers with the model that is on this machine.",
    "args": ["doctor"],
}
"""Editors and their registry want a way to log in; what can be done here is to look."""
HISTORY = 400
FAILED = -32603
INVALID = -32602


class Agent:
    """Answers one client."""

    def __init__(self, engine: Engine, peer: Peer) -> None:
        self._engine = engine
        self._peer = peer
        self._route = build_agent_router(cast("Any", self), use_unstable_protocol=True)

    async def __call__(self, method: str, params: Any, is_notification: bool) -> Any:
        """Handle a message; what goes wrong leaves as a JSON-RPC error with a `wire.Fault`.

        The answer comes behind all that was told before it.
        """
        try:
            return await self._route(method, params, is_notification)
        except JourneymanError as error:
            code = INVALID if isinstance(error, UsageError) else FAILED
            raise RequestError(code, str(error), error.told) from error
        finally:
            if not is_notification:
                await self._peer.told()

    async def initialize(self, protocol_version: int, client_capabilities: Any = None, **_: Any) -> Json:  # noqa: ARG002
        said = (client_capabilities and client_capabilities.field_meta) or {}
        ours = said.get(OURS)
        in_terminal = client_capabilities and (client_capabilities.auth.terminal or said.get("terminal-auth"))
        self._peer.notes = isinstance(ours, dict) and ours.get("notes") is True
        return {
            "protocolVersion": wire.PROTOCOL,
            "agentInfo": {
                "name": "journeyman",
                "title": "journeyman",
                "version": version("journeyman"),
                "_meta": {OURS: {"pid": os.getpid()}},
            },
            "agentCapabilities": {
                "loadSession": True,
                "promptCapabilities": {"embeddedContext": True, "image": False, "audio": False},
                "mcpCapabilities": {"http": True, "sse": False},
                "sessionCapabilities": {"list": {}, "fork": {}, "resume": {}, "close": {}},
            },
            "authMethods": [SETUP] if in_terminal else [],
        }

    async def authenticate(self, method_id: str, **_: Any) -> Json:
        raise UsageError(f"There is no way to authenticate {method_id!r}.", fix="None is needed.")

    async def new_session(self, cwd: str, mcp_servers: Any = None, **meta: Any) -> Json:
        session = await self._engine.new(Path(cwd), _given(meta), targets(mcp_servers))
        await session.follow(self._peer, replay=False)
        return {"sessionId": session.id, **opened(session)}

    async def load_session(self, session_id: str, cwd: str, mcp_servers: Any = None, **meta: Any) -> Json:
        return await self._follow(session_id, cwd, mcp_servers, meta, replay=True)

    async def resume_session(self, session_id: str, cwd: str, mcp_servers: Any = None, **meta: Any) -> Json:
        return await self._follow(session_id, cwd, mcp_servers, meta, replay=False)

    async def _follow(self, session_id: str, cwd: str, servers: Any, meta: Json, *, replay: bool) -> Json:
        session = await self._engine.find(session_id, Path(cwd), _given(meta), targets(servers))
        await session.follow(self._peer, replay=replay)
        answer = opened(session)
        answer["_meta"][OURS]["sessionId"] = session.id  # `last`, or a part of it, will do to ask
        return answer

    async def fork_session(self, session_id: str, cwd: str, **meta: Any) -> Json:
        session = await self._engine.find(session_id, Path(cwd), {}, ())
        forked = await self._engine.fork(session, _given(meta))
        await forked.follow(self._peer, replay=False)
        return {"sessionId": forked.id, **opened(forked)}

    async def close_session(self, session_id: str, **_: Any) -> Json:
        session = self._engine.known(session_id)
        if session.followers.peers == [self._peer]:
            session.interrupt()

        session.leave(self._peer)
        return {}

    async def list_sessions(self, cwd: str | None = None, cursor: str | None = None, **_: Any) -> Json:
        return await self._engine.listed(Path(cwd) if cwd else None, cursor)

    async def set_session_mode(self, session_id: str, mode_id: str, **_: Any) -> Json:
        self._engine.known(session_id).set_mode(mode_id)
        return {}

    async def set_config_option(self, config_id: str, session_id: str, value: Any, **_: Any) -> Json:
        session = self._engine.known(session_id)
        if config_id not in {"model", "think", "effort"}:
            raise UsageError(f"There is no option {config_id!r}.", fix="There are model, think, effort.")

        await session.set_option(config_id, None if value == "default" else value)
        return {"configOptions": options(session)}

    async def prompt(self, session_id: str, prompt: Sequence[Any], **_: Any) -> Json:
        text = said(prompt)
        if not text.strip():
            raise UsageError("There is no prompt.", fix="Say something.")

        return await self._ended(self._engine.known(session_id).enqueue(text, self._peer))

    async def _ended(self, turn: Turn) -> Json:
        """How it did; a fault is raised where ACP has no word for it."""
        await turn.ended.wait()
        if turn.error is not None and turn.stop == "end_turn":
            raise turn.error

        ours: Json = {"error": turn.error.told} if turn.error else {}
        if turn.result is not None and turn.result.denied:
            ours["denied"] = turn.result.denied

        return {"stopReason": turn.stop, **used(turn.result), "_meta": {OURS: ours}}

    async def cancel(self, session_id: str, **_: Any) -> None:
        self._engine.known(session_id).interrupt()

    async def ext_method(self, method: str, params: Json) -> Json:  # noqa: PLR0911 - one for each method
        name = f"_{method}"
        if name == wire.STOP:
            self._engine.group.cancel_scope.cancel()
            return {}

        session = self._engine.known(str(params.get("sessionId")))
        match name:
            case wire.HISTORY:
                return await _history(session, params)
            case wire.REWIND:
                events, text = await session.record.said_at(int(params.get("seq", 0)))
                forked = await self._engine.fork(session, {}, events)
                await forked.follow(self._peer, replay=False)
                return {"sessionId": forked.id, "prompt": text, **opened(forked)}
            case wire.STEER:
                session.enqueue(str(params.get("text", "")), None, first=True)
                session.interrupt(hold=False)
                return {}
            case wire.SHELL:
                command = str(params.get("command", "")).strip()
                if not command:
                    raise UsageError("There is no command.", fix="Write one after the exclamation mark: !ls -l")

                return await self._ended(session.enqueue(f"!{command}", self._peer, command=command))
            case wire.QUEUE:
                _mind_queue(session, params)
                return {"sessionId": session.id, **session.queue}
            case wire.SERVER:
                await session.mind_server(str(params.get("server")), str(params.get("do")))
                return state(session)
            case wire.STATE:
                return state(session)

        raise RequestError.method_not_found(name)

    async def ext_notification(self, method: str, params: Json) -> None:
        """None of ours go this way."""


def _given(meta: Json) -> Json:
    ours = meta.get(OURS) or {}
    if not isinstance(ours, dict):
        raise UsageError(f"_meta.{OURS} is no object.", fix="See Settings in journeyman/engine/wire.py.")

    return ours


def targets(servers: Sequence[Any] | None) -> list[Target]:
    """The MCP servers that a client brings along.

    Raises:
        ConfigError: one has a name that is ours, or that none can have.
        UsageError: one is reached in a way that we do not know.
    """
    found: list[Target] = []
    for each in servers or ():
        if hasattr(each, "command"):
            env = {variable.name: variable.value for variable in each.env}
            found.append(Command(check_name(each.name), (each.command, *each.args), env))
        elif getattr(each, "type", "") == "http":
            found.append(Url(check_name(each.name), each.url, {one.name: one.value for one in each.headers}))
        else:
            raise UsageError(f"The MCP server {each.name!r} is neither a command nor HTTP.", fix="Use one of those.")

    return found


def said(blocks: Sequence[Any]) -> str:
    """A prompt's blocks as one text: words, files that a client has put in, and the names of others."""
    pieces = []
    for block in blocks:
        match block.type:
            case "text":
                pieces.append(block.text)
            case "resource" if hasattr(block.resource, "text"):
                pieces.append(f"\n\n{block.resource.uri}:\n```\n{block.resource.text}\n```\n")
            case "resource_link":
                glued = bool(pieces) and not pieces[-1][-1:].isspace()
                pieces.append(" " * glued + str(block.uri).removeprefix("file://"))
            case kind:
                raise UsageError(f"A prompt cannot have {kind} here.", fix="Send text, or a text file.")

    return "".join(pieces)


async def _history(session: Session, params: Json) -> Json:
    total = session.record.count
    until = min(int(params.get("before", total + 1)) - 1, total)
    start = max(until - int(params.get("limit", HISTORY)), 0)
    found = session.record.updates(start, until, str(session.kit.cwd))
    updates = [each async for each in found if each["sessionUpdate"] != "usage_update"]
    return {"updates": updates, "before": start + 1 if start else None, "total": total}


def _mind_queue(session: Session, params: Json) -> None:
    if drop := params.get("drop"):
        session.drop(str(drop))
    elif params.get("resume"):
        session.go_on()

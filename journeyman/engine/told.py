"""What a session is, as clients are told: how it was opened, what it is made of now, what a turn has used."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from journeyman.agent.outfit import limits
from journeyman.engine.session import Session
from journeyman.engine.wire import OURS
from journeyman.tools.server import Server
from journeyman.traces.messages import ToolSpec

Json = dict[str, Any]
OFF = {"off": True, "calls": 0, "error": "", "stderr": []}
MODES = {
    "readonly": "Nothing that changes anything.",
    "ask": "Ask before anything is changed.",
    "auto": "Ask only where others' text steers, or much is at stake.",
    "yolo": "Everything the sandbox holds; what is denied stays denied.",
}


def opened(session: Session) -> Json:
    """The result of `session/new` and the like, `wire.Opened` in it."""
    modes = [{"id": name, "name": name, "description": told} for name, told in MODES.items()]
    if session.kit.mode not in MODES:
        modes.append({"id": session.kit.mode, "name": Path(session.kit.mode).name})

    ours = {
        "root": str(session.kit.cwd),
        "model": session.kit.settings.model,
        "running": session.turn is not None,
        "queue": session.waiting.listed,
        "held": session.waiting.held,
    }
    return {
        "modes": {"currentModeId": session.kit.mode, "availableModes": modes},
        "configOptions": options(session),
        "_meta": {OURS: ours},
    }


def options(session: Session) -> list[Json]:
    settings = session.kit.settings
    now = session.kit.runtime.model.spec if session.kit.runtime else settings.model or "default"
    models = dict.fromkeys([now, "local:starter"])
    return [
        _select("model", "Model", "model", now, models),
        _select("think", "Thinking", "thought_level", str(settings.think), ["auto", "off", "on"]),
        _select(
            "effort", "Effort", "thought_level", settings.effort or "default", ["default", "low", "medium", "high"]
        ),
    ]


def _select(name: str, title: str, category: str, now: str, values: Any) -> Json:
    choices = [{"value": value, "name": value} for value in dict.fromkeys([*values, now])]
    return {
        "type": "select",
        "id": name,
        "name": title,
        "category": category,
        "currentValue": now,
        "options": choices,
    }


def used(result: Any) -> Json:
    """What a turn took, in ACP's words."""
    if result is None:
        return {}

    usage = result.usage
    counted = {
        "totalTokens": usage.total_tokens,
        "inputTokens": usage.prompt_tokens,
        "outputTokens": usage.completion_tokens,
        "cachedReadTokens": usage.cached_tokens,
        "thoughtTokens": usage.reasoning_tokens,
    }
    return {"usage": counted}


def state(session: Session) -> Json:
    """A `wire.State`."""
    runtime = session.kit.runtime
    specs = runtime.catalog.specs if runtime else ()
    tools = [{"name": spec.identity, "description": spec.description, "read_only": spec.read_only} for spec in specs]
    there = [each for each in runtime.catalog.servers if each.name not in session.kit.off] if runtime else []
    servers = [_server(each, specs, session) for each in there]
    servers += [{"name": name, "transport": "", "protocol": "", "tools": 0, **OFF} for name in sorted(session.kit.off)]
    policy = runtime.policy if runtime else None
    return {
        "sessionId": session.id,
        "root": str(session.kit.cwd),
        "model": runtime.model.spec if runtime else session.kit.settings.model,
        "mode": session.kit.mode,
        "policy": {"name": policy.name, "digest": policy.digest, "text": policy.text} if policy else {},
        "sandbox": dict(runtime.sandbox) if runtime else {},
        "tools": tools,
        "servers": sorted(servers, key=lambda each: each["name"]),
        "limits": limits(session.kit.settings).model_dump(exclude_none=True),
        "notices": list(session.kit.notices),
        "clients": len(session.followers.peers),
    }


def _server(server: Server, specs: Sequence[ToolSpec], session: Session) -> Json:
    return {
        "name": server.name,
        "transport": type(server.target).__name__.lower(),
        "protocol": server.era,
        "tools": sum(spec.server == server.name for spec in specs),
        "off": False,
        **session.tale.calls.told(server.name),
        "stderr": server.stderr,
    }

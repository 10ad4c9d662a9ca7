"""journeyman: an agent runtime for people who run their own models.

    from journeyman import Agent, tool

    @tool
    def add(a: int, b: int) -> int:
        "Add two numbers."
        return a + b

    print(Agent(tools=[add])("What is 2 + 3?"))

Everything here is imported on first use.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from journeyman.agent.models.scripted import ScriptedModel as ScriptedModel
    from journeyman.agent.order import Result as Result
    from journeyman.errors import JourneymanError as JourneymanError
    from journeyman.errors import ToolError as ToolError
    from journeyman.policies.policy import Policy as Policy
    from journeyman.sdk import Agent as Agent
    from journeyman.sdk import mcp as mcp
    from journeyman.tools.function import tool as tool
    from journeyman.traces import events as events
    from journeyman.training.tasks import Task as Task
    from journeyman.verifiers.check import verifier as verifier

_HOME = {
    "Agent": "journeyman.sdk:Agent",
    "JourneymanError": "journeyman.errors:JourneymanError",
    "Policy": "journeyman.policies.policy:Policy",
    "Result": "journeyman.agent.order:Result",
    "ScriptedModel": "journeyman.agent.models.scripted:ScriptedModel",
    "Task": "journeyman.training.tasks:Task",
    "ToolError": "journeyman.errors:ToolError",
    "events": "journeyman.traces.events:",
    "mcp": "journeyman.sdk:mcp",
    "tool": "journeyman.tools.function:tool",
    "verifier": "journeyman.verifiers.check:verifier",
}

__all__ = [
    "Agent",
    "JourneymanError",
    "Policy",
    "Result",
    "ScriptedModel",
    "Task",
    "ToolError",
    "events",
    "mcp",
    "tool",
    "verifier",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'journeyman' has no attribute {name!r}")

    from importlib import import_module  # noqa: PLC0415

    module, _, attribute = _HOME[name].partition(":")
    value = import_module(module)
    value = getattr(value, attribute) if attribute else value
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

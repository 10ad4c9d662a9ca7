"""A script in a model's place: tests of your own agents need no model, and run in milliseconds."""

from journeyman import Agent, ScriptedModel, tool


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


script = ScriptedModel([{"tool": "add", "arguments": {"a": 2, "b": 3}}, "It is 5."])
for event in Agent(script, tools=[add]).stream("2+3?"):
    if event.type == "call_finished":
        print(event.result.text)
    elif event.type == "run_finished":
        print(event.answer)

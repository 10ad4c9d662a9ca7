"""Your own functions as tools of an agent, with a policy: the agent may look, and has to ask before it orders."""

from journeyman import Agent, Policy, tool

MOST = 2
stock = {"apples": 12, "pears": 3}


@tool(read_only=True)
def count(fruit: str) -> int:
    """How many of this fruit are in stock."""
    return stock[fruit]


@tool
def order(fruit: str, boxes: int) -> str:
    """Order boxes of a fruit."""
    stock[fruit] += 10 * boxes
    return f"ordered {boxes} boxes of {fruit}"


agent = Agent(
    tools=[count, order],
    policy=Policy.ask("order"),
    approve=lambda request: request.arguments["boxes"] <= MOST or "order fewer boxes",
)
print(agent("How many apples are in stock?"))

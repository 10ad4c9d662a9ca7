"""The calculator as an MCP server."""

from pathlib import Path

from pydantic import BaseModel

from journeyman.mcp_servers.base import Reply, ToolServer, hints
from journeyman.mcp_servers.calculator import evaluate


class Result(BaseModel):
    exact: str
    """An integer or `numerator/denominator`."""
    decimal: str
    approximate: bool
    """The decimal is rounded."""


def build(root: Path) -> ToolServer:  # noqa: ARG001 - every server is built the same way; arithmetic needs no folder
    server = ToolServer("calculator", "Exact arithmetic. Results are fractions or decimals without rounding errors.")
    server.offer(calculate, hints(read_only=True), Result)
    return server


async def calculate(expression: str) -> Reply:
    """Calculate an arithmetic expression"""
    answer = evaluate.calculate(expression)
    return Reply(answer.text, Result(exact=answer.exact, decimal=answer.decimal, approximate=answer.approximate))

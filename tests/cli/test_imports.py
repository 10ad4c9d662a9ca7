import re
import subprocess
import sys

import pytest

HEAVY = {"alembic", "anthropic", "httpx2", "jsonschema", "mcp", "openai", "pydantic_monty", "sqlalchemy", "tomlkit"}
HEAVY |= {"torch", "transformers", "xllamacpp"}


def imported(*words: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *words], capture_output=True, encoding="utf-8", timeout=50, check=True
    )
    return {name.partition(".")[0] for name in re.findall(r"^import time:.*\| +(\S+)$", done.stderr, re.MULTILINE)}


def test_importing_the_package_imports_nothing_heavy():
    names = imported("-c", "import journeyman")
    assert "journeyman" in names
    assert names & {*HEAVY, "pydantic"} == set()


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["run", "-h"],
        ["mcp", "-h"],
        ["mcp", "serve", "-h"],
        ["models", "-h"],
        ["doctor", "-h"],
        ["config", "-h"],
    ],
    ids=" ".join,
)
def test_help_imports_nothing_heavy(words):
    names = imported("-m", "journeyman", *words)
    assert "click" in names
    assert names & {*HEAVY, "pydantic"} == set()


@pytest.mark.parametrize("words", [["config", "show"], ["mcp", "list"]], ids=" ".join)
def test_looking_at_the_settings_and_servers_imports_neither_sdk_nor_store(words, tmp_path, monkeypatch):
    monkeypatch.setenv("JOURNEYMAN_HOME", str(tmp_path))
    assert imported("-m", "journeyman", *words) & HEAVY == set()

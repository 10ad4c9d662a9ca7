import os
import stat
import sys
import time
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from journeyman.cli.register import NAMES
from journeyman.errors import ConfigError
from journeyman.tools.mcp_json import Entry
from journeyman.tools.register.clients import CLIENTS
from journeyman.tools.register.documents import WRITERS
from journeyman.tools.register.register import apply, entry_of, known, registering, unregistering


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    for name in ("XDG_CONFIG_HOME", "CLAUDE_CONFIG_DIR", "CODEX_HOME"):
        monkeypatch.delenv(name, raising=False)

    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(sys, "executable", "/env/bin/python")
    return home


def file_of(name: str) -> Path:
    path = CLIENTS[name].file()
    assert path is not None
    return path


def test_the_command_line_names_every_client_there_is() -> None:
    assert tuple(CLIENTS) == NAMES


def test_each_client_is_written_to_as_its_documentation_says(home: Path) -> None:
    written = {}
    for name, client in CLIENTS.items():
        path = file_of(name)
        apply(registering(client, path, ["files"], Path("/notes")))
        document = WRITERS[client.format].parse(path.read_text())
        for part in client.section:
            document = document[part]

        entry = dict(document["journeyman-files"])
        written[name] = (
            str(path.relative_to(home)),
            client.section[0],
            {k: v for k, v in entry.items() if k != "args"},
        )
        assert known(client, path) == {"journeyman-files": entry_of("files", Path("/notes")).model_copy()}

    assert written == snapshot(
        {
            "claude-code": (".claude.json", "mcpServers", {"type": "stdio", "command": "/env/bin/python"}),
            "claude-desktop": (
                ".config/Claude/claude_desktop_config.json",
                "mcpServers",
                {"command": "/env/bin/python"},
            ),
            "codex": (".codex/config.toml", "mcp_servers", {"command": "/env/bin/python"}),
            "cursor": (".cursor/mcp.json", "mcpServers", {"command": "/env/bin/python"}),
            "gemini": (".gemini/settings.json", "mcpServers", {"command": "/env/bin/python"}),
            "goose": (
                ".config/goose/config.yaml",
                "extensions",
                {
                    "name": "journeyman-files",
                    "type": "stdio",
                    "cmd": "/env/bin/python",
                    "envs": {},
                    "timeout": 300,
                    "enabled": True,
                },
            ),
            "jetbrains": (".junie/mcp/mcp.json", "mcpServers", {"command": "/env/bin/python"}),
            "lm-studio": (".lmstudio/mcp.json", "mcpServers", {"command": "/env/bin/python"}),
            "opencode": (
                ".config/opencode/opencode.json",
                "mcp",
                {
                    "type": "local",
                    "command": ["/env/bin/python", "-m", "journeyman", "mcp", "serve", "files", "--root", "/notes"],
                    "enabled": True,
                },
            ),
            "vscode": (".config/Code/User/mcp.json", "servers", {"type": "stdio", "command": "/env/bin/python"}),
            "windsurf": (".codeium/windsurf/mcp_config.json", "mcpServers", {"command": "/env/bin/python"}),
            "zed": (".config/zed/settings.json", "context_servers", {"command": "/env/bin/python"}),
        }
    )


@pytest.mark.parametrize("name", NAMES)
def test_registering_twice_changes_nothing_and_unregistering_gives_the_rest_back(
    home: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "strftime", lambda _: "20261122-080000")
    client, path = CLIENTS[name], file_of(name)
    first = registering(client, path, ["files", "search"], Path("/notes"))
    assert apply(first) is None
    again = registering(client, path, ["files", "search"], Path("/notes"))
    assert again.before == again.after
    moved = registering(client, path, ["files"], Path("/other"))
    assert "/other" in moved.diff
    assert "/notes" in moved.diff
    kept = apply(moved)
    assert kept is not None
    assert kept.read_text() == first.after
    assert apply(moved._replace(before=moved.after)) == kept  # within the second: the older copy stays
    assert kept.read_text() == first.after
    apply(unregistering(client, path, ["files"]))
    assert list(known(client, path)) == ["journeyman-search"]
    apply(unregistering(client, path))
    assert known(client, path) == {}


def test_what_others_wrote_stays_with_its_mode_behind_its_link_and_out_of_the_diff(home: Path) -> None:
    real = home / "dotfiles/cursor.json"
    real.parent.mkdir()
    real.write_text('{"mcpServers": {\n  "wiki": {"command": "npx", "env": {"TOKEN": "s3cret"}}\n}}\n')
    real.chmod(0o640)
    path = file_of("cursor")
    path.parent.mkdir()
    path.symlink_to(real)
    plan = registering(CLIENTS["cursor"], path, ["files"], Path("/notes"))
    assert plan.diff == (
        f'{path}\n+ mcpServers.journeyman-files: {{"command": "/env/bin/python",'
        ' "args": ["-m", "journeyman", "mcp", "serve", "files", "--root", "/notes"]}'
    )
    apply(plan)
    assert path.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert known(CLIENTS["cursor"], path)["wiki"] == Entry(command="npx", env={"TOKEN": "s3cret"})
    other = unregistering(CLIENTS["cursor"], path)
    apply(other)
    assert real.read_text() == plan.before


def test_a_file_that_is_wrong_is_told_and_never_written(home: Path) -> None:
    path = file_of("vscode")
    path.parent.mkdir(parents=True)
    for text, told in (("{", "line 1"), ('{"servers": []}', "servers is no table"), ("\x00", "is not expected")):
        path.write_text(text)
        with pytest.raises(ConfigError, match=told):
            registering(CLIENTS["vscode"], path, ["files"], Path("/notes"))

        assert path.read_text() == text

    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        known(CLIENTS["vscode"], path)


def test_a_file_that_changed_meanwhile_is_not_overwritten(home: Path) -> None:
    path = file_of("claude-code")
    plan = registering(CLIENTS["claude-code"], path, ["files"], Path("/notes"))
    path.write_text('{"numStartups": 2}')
    with pytest.raises(ConfigError, match="changed by something else"):
        apply(plan)

    assert path.read_text() == '{"numStartups": 2}'


def test_a_mark_that_an_editor_put_before_the_text_stays(home: Path) -> None:
    path = file_of("zed")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\xef\xbb\xbf{}\n")
    apply(registering(CLIENTS["zed"], path, ["files"], Path("/notes")))
    assert path.read_bytes().startswith(b"\xef\xbb\xbf{")
    assert list(known(CLIENTS["zed"], path)) == ["journeyman-files"]


def test_a_variable_or_another_system_moves_the_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEX_HOME", "/x")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/y")
    assert (file_of("codex"), file_of("vscode")) == (Path("/x/config.toml"), Path("/y/Code/User/mcp.json"))
    monkeypatch.setattr(sys, "platform", "darwin")
    desktop = home / "Library/Application Support/Claude/claude_desktop_config.json"
    assert file_of("claude-desktop") == desktop


def test_servers_of_every_shape_are_read(home: Path) -> None:
    path = file_of("opencode")
    path.parent.mkdir(parents=True)
    path.write_text(
        '{"mcp": {"a": {"type": "local", "command": ["npx", "a"], "environment": {"K": "v"}},'
        ' "b": {"type": "remote", "url": "https://b.example/mcp"}, "c": 3, "d": {"type": "local", "command": "x"}}}'
    )
    found = known(CLIENTS["opencode"], path)
    assert found["a"] == Entry(command="npx", args=["a"], env={"K": "v"})
    assert found["b"] == Entry(url="https://b.example/mcp")
    assert found["c"] is None
    path = file_of("gemini")
    path.parent.mkdir(parents=True)
    path.write_text(
        '{"mcpServers": {"a": {"httpUrl": "https://a.example/mcp"}, "w": {"serverUrl": "https://w.example"}}}'
    )
    assert known(CLIENTS["gemini"], path) == {
        "a": Entry(url="https://a.example/mcp"),
        "w": Entry(url="https://w.example"),
    }


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_closed_is_told(home: Path) -> None:
    home.chmod(0o500)
    with pytest.raises(ConfigError, match="cannot write"):
        apply(registering(CLIENTS["zed"], file_of("zed"), ["files"], Path("/notes")))
